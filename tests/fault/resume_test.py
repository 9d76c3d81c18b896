#!/usr/bin/env python3
"""Kills slim-quant with SIGKILL at moments spread over its whole run and goes on: the output must have the bytes of an
undisturbed run, and no kill may leave an output under its name.

SLIM_KILLS is the number of kills of each kind: 2, and 10 with check.sh --long.
"""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
MODEL = ROOT / "testdata" / "models" / "tiny-qwen2"
CALIB = ROOT / "testdata" / "golden" / "calib.jsonl"
RECIPE = """apiversion: modelslim_v1
spec:
  process:
    - {type: quarot}
    - {type: iter_smooth, alpha: 0.5}
    - type: group
      configs:
        - type: linear_quant
          qconfig: {act: {scope: per_tensor, dtype: int8, symmetric: False, method: minmax},
                    weight: {scope: per_channel, dtype: int8, symmetric: True, method: minmax}}
          exclude: ["*down_proj*"]
        - {type: dynamic_cache, qconfig: {scope: per_channel, dtype: int8, symmetric: True, method: minmax}}
"""
KINDS = {
    "data-free": ["--type", "w8a8_dynamic", "--smooth", "none"],
    "calibrated": ["--calib", str(CALIB)],
    "searched, two passes": ["--calib", str(CALIB), "--smooth", "flex", "--propagate", "quantized", "--kv-cache", "c8"],
    "rotated, smoothed, cached": ["--calib", str(CALIB), "--recipe", "RECIPE"],
    "gptq": ["--calib", str(CALIB), "--type", "w4a8", "--weight-method", "gptq"],
}


def command(output, flags):
    return [str(BIN / "slim-quant"), str(MODEL), "-o", str(output), "--no-fsync", "--threads", "2", "--report", f"{output}.html",
            *flags]


def checkpoint(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def contents(folder):
    """Of the checkpoint, and its report but for the name."""
    return checkpoint(folder) | {"report": pathlib.Path(f"{folder}.html").read_text().replace(str(folder), "")}


def run(words):
    result = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: exit {result.returncode}\n{result.stderr}")
    return result.stderr


def kill_once(words, seconds):
    """True when the kill came before the end."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.kill()
    return process.wait() == -signal.SIGKILL


class Resume(unittest.TestCase):
    def test_kills(self):
        kills = int(os.environ.get("SLIM_KILLS", "2"))
        chance = random.Random(20240607)
        self.taken_up = 0
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            (folder / "recipe.yaml").write_text(RECIPE)
            for kind, flags in KINDS.items():
                flags = [str(folder / "recipe.yaml") if word == "RECIPE" else word for word in flags]
                with self.subTest(kind=kind):
                    self.kill_and_go_on(folder / kind, flags, kills, chance)
        self.assertGreater(self.taken_up, 0, "no run was taken up")
        print(f"{kills * len(KINDS)} runs killed, {self.taken_up} taken up where they were")

    def kill_and_go_on(self, base, flags, kills, chance):
        whole = f"{base}-whole"
        began = time.monotonic()
        run(command(whole, flags))
        duration = time.monotonic() - began
        wanted = contents(pathlib.Path(whole))
        for i in range(kills):
            output = pathlib.Path(f"{base}-{i}")
            words = command(output, flags)
            killed = kill_once(words, duration * (i + chance.random()) / kills)
            if killed and not output.exists():
                killed = kill_once([*words, "--resume"], duration * chance.random() / 2)
            if killed and output.exists():  # killed after the rename: complete, only the report may be missing
                self.assertTrue(checkpoint(output) == checkpoint(pathlib.Path(whole)), f"kill {i}: an incomplete output under its name")
                shutil.rmtree(output)
                continue
            notes = "" if output.exists() else run([*words, "--resume"])
            self.taken_up += "taking up" in notes
            self.assertTrue(contents(output) == wanted, f"kill {i}: other bytes")
            self.assertFalse((output.parent / f".{output.name}.slim-partial").exists(), f"kill {i}: the partial directory is still there")
            shutil.rmtree(output, ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
