#!/usr/bin/env python3
"""Kills slim-quant with SIGKILL at moments spread over its whole run and goes on: the output must have the bytes of an
undisturbed run, and no kill may leave an output under its name.

  tests/fault/resume_test.py [--kills N]     default: 4 of each kind; 50 takes some minutes
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

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
    return [str(BIN / "slim-quant"), str(MODEL), "-o", str(output), "--no-fsync", "--threads", "1", "--report", f"{output}.html",
            *flags]


def contents(folder):
    """Of the checkpoint, and its report but for the name."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return files | {"report": pathlib.Path(f"{folder}.html").read_text().replace(str(folder), "")}


def run(words):
    result = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(words)}: exit {result.returncode}\n{result.stderr}")
    return result.stderr


def kill_once(words, seconds):
    """True when the kill came before the end."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.kill()
    return process.wait() == -signal.SIGKILL


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=4)
    kills = parser.parse_args().kills
    chance = random.Random(20240607)
    failures, taken_up = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "recipe.yaml").write_text(RECIPE)
        for kind, flags in KINDS.items():
            flags = [str(folder / "recipe.yaml") if word == "RECIPE" else word for word in flags]
            whole = folder / f"{kind}-whole"
            began = time.monotonic()
            run(command(whole, flags))
            duration = time.monotonic() - began
            wanted = contents(whole)
            for i in range(kills):
                output = folder / f"{kind}-{i}"
                words = command(output, flags)
                killed = kill_once(words, duration * (i + chance.random()) / kills)
                if killed and output.exists():
                    failures.append(f"{kind} kill {i}: an output under its name after SIGKILL")
                if killed:
                    kill_once([*words, "--resume"], duration * chance.random() / 2)
                notes = "" if output.exists() else run([*words, "--resume"])
                taken_up += "taking up" in notes
                if contents(output) != wanted:
                    failures.append(f"{kind} kill {i}: other bytes")
                if (folder / f".{output.name}.slim-partial").exists():
                    failures.append(f"{kind} kill {i}: the partial directory is still there")
                shutil.rmtree(output, ignore_errors=True)
    for failure in failures:
        print(failure)
    if taken_up == 0:
        failures.append("no run was taken up")
        print(failures[-1])
    total = len(KINDS) * kills
    print(f"{total - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
