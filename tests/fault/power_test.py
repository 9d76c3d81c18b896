#!/usr/bin/env python3
"""The power goes: slim writes to an ext4 file system in a file, the file is copied as it is on the disk at that moment, and the copy is
mounted, its journal replayed. After exit code 0 the output must be there, whole; during a run it is whole or absent (facts:
reliability.md R11). Needs loop mounts; without them it is skipped. SLIM_LONG=1 (check.sh --long) cuts 100 runs
short instead of 20."""

import filecmp
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from scenes import BIN, LONG, MODEL, snapshot  # noqa: E402

MIB = 1 << 20
RUNS = 100 if LONG else 20


def loop_mounts_work():
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "image")
        with open(image, "wb") as file:
            file.truncate(8 * MIB)
        os.mkdir(os.path.join(folder, "place"))
        if not shutil.which("mkfs.ext4") or subprocess.run(["mkfs.ext4", "-q", image], check=False, capture_output=True).returncode:
            return False
        mounted = subprocess.run(["mount", "-o", "loop", image, os.path.join(folder, "place")], check=False, capture_output=True).returncode == 0
        if mounted:
            subprocess.run(["umount", os.path.join(folder, "place")], check=True)
        return mounted


class PowerCut(unittest.TestCase):
    def setUp(self):
        if not loop_mounts_work():
            self.skipTest("loop mounts are not permitted here")
        self.scratch = tempfile.TemporaryDirectory(prefix="slim-power-")
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)
        for name in ("place", "copy"):
            (self.folder / name).mkdir()
        with open(self.folder / "image", "wb") as file:
            file.truncate(64 * MIB)
        subprocess.run(["mkfs.ext4", "-q", self.folder / "image"], check=True)
        self.mount("image", "place", "commit=1")
        self.addCleanup(subprocess.run, ["umount", self.folder / "place"], check=False)
        began = time.monotonic()
        self.assertEqual(self.start("wanted").wait(60), 0)
        self.duration = time.monotonic() - began
        self.wanted = snapshot(self.folder / "place" / "wanted")

    def mount(self, image, place, options):
        subprocess.run(["mount", "-o", f"loop,{options}", self.folder / image, self.folder / place], check=True)

    def start(self, name):
        return subprocess.Popen([BIN / "slim-quant", MODEL, "-o", self.folder / "place" / name, "--type", "w8a16", "-q"], stderr=subprocess.DEVNULL)

    def after_the_cut(self, name):
        """What the disk holds now, seen by the next boot. A copy takes its time: it is one moment's if nothing was written meanwhile."""
        shutil.copyfile(self.folder / "image", self.folder / "cut")
        while not filecmp.cmp(self.folder / "image", self.folder / "cut", shallow=False):
            shutil.copyfile(self.folder / "image", self.folder / "cut")
        self.mount("cut", "copy", "noatime")
        try:
            return snapshot(self.folder / "copy" / name)
        finally:
            subprocess.run(["umount", self.folder / "copy"], check=True)

    def test_power_cut(self):
        for seconds in (0, 1, 5):
            process = self.start(f"after-{seconds}")
            self.assertEqual(process.wait(60), 0)
            time.sleep(seconds)
            self.assertEqual(self.after_the_cut(f"after-{seconds}"), self.wanted, f"{seconds} s after exit code 0")
        whole = 0
        for number in range(RUNS):
            process = self.start(f"during-{number}")
            time.sleep(1.5 * self.duration * number / RUNS)
            process.send_signal(signal.SIGSTOP)
            found = self.after_the_cut(f"during-{number}")
            process.send_signal(signal.SIGCONT)
            self.assertEqual(process.wait(60), 0)
            self.assertIn(found, (None, self.wanted))
            whole += found is not None
        print(f"3 cuts after and {RUNS} during a run, {whole} of these whole")


if __name__ == "__main__":
    unittest.main()
