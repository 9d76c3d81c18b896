"""Writers under faults: every call that can fail is failed once, and the program is killed at calls and at moments. Whatever
happens, the output is complete or absent, the input untouched, the exit code honest (facts: reliability.md R5, R6, R12)."""

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
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
QUANT = ("slim-quant", "in", "-o", "out", "--type", "w8a16", "-q")
CONVERT = ("slim-convert", "in", "-o", "out", "--to", "mindie", "-q")


def strace_works():
    try:
        return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


class Faults(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)

    def tearDown(self):
        self.scratch.cleanup()

    def prepare(self, command):
        source = GOLDEN / ("models" if command is QUANT else "one-click") / "mini-qwen2-bfloat16"
        shutil.copytree(source if command is QUANT else source / "w8a16", self.folder / "in")
        self.before = digest(self.folder / "in")
        self.run_command(command)
        self.wanted = digest(self.folder / "out")
        shutil.rmtree(self.folder / "out")

    def run_command(self, command, *prefix):
        # One thread, so that the N-th call is the same one each time.
        words = [*prefix, BIN / command[0], *command[1:], "--threads", "1"]
        return subprocess.run(words, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)

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

    def fail_each(self, command, call, error, wanted_text):
        failures = 0
        for number in range(1, 500):
            result = self.run_command(command, "strace", "-f", "-o", "trace", "-e", f"trace={call}",
                                      "-e", f"inject={call}:error={error}:when={number}")
            if "(INJECTED)" not in (self.folder / "trace").read_text():
                self.assertEqual(result.returncode, 0, result.stderr)
                self.check_state(False)
                break
            failures += 1
            self.assertEqual(result.returncode, 4, f"{call} number {number}: {result.stderr}")
            self.assertIn(wanted_text, result.stderr)
            self.check_state(False)
        self.assertGreater(failures, 0, f"{call} was never called")

    @unittest.skipUnless(strace_works(), "strace does not work here")
    def test_no_space_at_every_call(self):
        for command in (QUANT, CONVERT):
            with self.subTest(command[0]):
                self.prepare(command)
                for call, error, text in (("pwrite64", "ENOSPC", "No space left on device"),
                                          ("fallocate", "ENOSPC", "No space left on device"),
                                          ("fsync", "EIO", "Input/output error"),
                                          ("rename", "EACCES", "Permission denied"),
                                          ("mkdir", "EROFS", "Read-only file system")):
                    self.fail_each(command, call, error, text)
                shutil.rmtree(self.folder / "in")

    @unittest.skipUnless(strace_works(), "strace does not work here")
    def test_interrupted_and_short_calls_change_nothing(self):
        self.prepare(QUANT)
        for fault in ("pread64:error=EINTR:when=3+7", "pwrite64:error=EINTR:when=2+5"):
            call = fault.split(":")[0]
            result = self.run_command(QUANT, "strace", "-f", "-o", "trace", "-e", f"trace={call}", "-e", f"inject={fault}")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.check_state(False)

    @unittest.skipUnless(strace_works(), "strace does not work here")
    def test_killed_at_every_rename_and_flush(self):
        self.prepare(CONVERT)
        for call in ("fsync", "rename"):
            for number in range(1, 40):
                result = self.run_command(CONVERT, "strace", "-f", "-o", "trace", "-e", f"trace={call}",
                                          "-e", f"inject={call}:signal=SIGKILL:when={number}")
                self.check_state(True)
                if result.returncode == 0:
                    break
        result = self.run_command(CONVERT)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.check_state(False)

    def test_killed_at_moments(self):
        self.prepare(QUANT)
        for number in range(40):
            for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
                process = subprocess.Popen([BIN / QUANT[0], *QUANT[1:]], cwd=self.folder, stderr=subprocess.DEVNULL)
                time.sleep(0.0007 * number)
                process.send_signal(kind)
                code = process.wait(timeout=10)
                self.assertIn(code, (0, -kind))
                self.check_state(kind == signal.SIGKILL)
                # What a kill left would still be there when the next run is stopped before it gets to it.
                shutil.rmtree(self.folder / ".out.slim-partial", ignore_errors=True)
        self.assertEqual(self.run_command(QUANT).returncode, 0)
        self.check_state(False)

    def test_two_writers_never_mix(self):
        self.prepare(QUANT)
        for force in ((), ("--force",)):
            for _ in range(5):
                processes = [subprocess.Popen([BIN / QUANT[0], *QUANT[1:], *force], cwd=self.folder, stderr=subprocess.DEVNULL)
                             for _ in range(6)]
                codes = [process.wait(timeout=60) for process in processes]
                self.assertTrue(set(codes) <= {0, 4}, codes)
                self.assertIn(0, codes)
                if not force:
                    self.assertEqual(codes.count(0), 1)
                self.assertEqual(self.wanted, digest(self.folder / "out"))
                self.check_state(False)


if __name__ == "__main__":
    unittest.main()
