"""Writers that are killed or told to stop at moments spread over their run, and writers that want the same output: it is complete
or absent, the input untouched, the exit code honest (facts: reliability.md R5, R12, R13).

SLIM_LONG=1 (check.sh --long) takes ten times as many moments.
"""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "testdata" / "golden"
LONG = bool(os.environ.get("SLIM_LONG"))
ROUNDS = 25
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
QUANT = ("slim-quant", "in", "-o", "out", "--type", "w8a16", "-q")


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


class Faults(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)

    def tearDown(self):
        self.scratch.cleanup()

    def prepare(self, command):
        shutil.copytree(GOLDEN / "models" / "mini-qwen2-bfloat16", self.folder / "in")
        self.before = digest(self.folder / "in")
        start = time.monotonic()
        self.run_command(command)
        self.seconds = time.monotonic() - start
        self.wanted = digest(self.folder / "out")
        shutil.rmtree(self.folder / "out")

    def run_command(self, command):
        return subprocess.run([BIN / command[0], *command[1:]], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)

    def check_state(self, may_leave_partial):
        self.assertEqual(self.before, digest(self.folder / "in"), "the input was touched")
        left = sorted(path.name for path in self.folder.iterdir() if path.name not in ("in", "trace"))
        if "out" in left:
            self.assertEqual(self.wanted, digest(self.folder / "out"), "half an output is visible")
            shutil.rmtree(self.folder / "out")
            left.remove("out")
        if may_leave_partial and left == [".out.slim-partial"]:
            return
        self.assertEqual(left, [])

    def test_killed_at_moments(self):
        self.prepare(QUANT)
        kills, slowest, moments = 0, 0.0, 500 if LONG else 50
        for number in range(moments):
            for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
                process = subprocess.Popen([BIN / QUANT[0], *QUANT[1:]], cwd=self.folder, stderr=subprocess.DEVNULL)
                time.sleep(self.seconds * number / moments)
                process.send_signal(kind)
                told = time.monotonic()
                if kind == signal.SIGINT and number % 2:
                    process.send_signal(kind)  # a second one ends it without more ado
                code = process.wait(timeout=10)
                slowest = max(slowest, time.monotonic() - told)
                self.assertIn(code, (0, -kind))
                kills += code != 0
                self.check_state(kind in (signal.SIGKILL, signal.SIGINT))
                # What a kill left would still be there when the next run is stopped before it gets to it.
                shutil.rmtree(self.folder / ".out.slim-partial", ignore_errors=True)
        self.assertEqual(self.run_command(QUANT).returncode, 0)
        self.check_state(False)
        print(f"{kills} runs ended by signals, the slowest {slowest:.2f} s later")
        self.assertGreater(kills, 100)
        self.assertLess(slowest, 5)

    def test_writers_never_mix(self):
        self.prepare(QUANT)
        for force in ((), ("--force",)):
            for _ in range(ROUNDS):
                processes = [subprocess.Popen([BIN / QUANT[0], *QUANT[1:], *force], cwd=self.folder, stderr=subprocess.DEVNULL)
                             for _ in range(8)]
                codes = [process.wait(timeout=60) for process in processes]
                self.assertTrue(set(codes) <= {0, 4}, codes)
                self.assertIn(0, codes)
                if not force:
                    self.assertEqual(codes.count(0), 1)
                self.assertEqual(self.wanted, digest(self.folder / "out"))
                self.check_state(False)
        print(f"{2 * ROUNDS} rounds of 8 writers")


if __name__ == "__main__":
    unittest.main()
