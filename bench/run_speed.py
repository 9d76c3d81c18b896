#!/usr/bin/env python3
"""The measurements of bench/run.sh, which makes the checkpoints.

usage: run_speed.py FOLDER [--rounds N] [--llama-bench PROGRAM] [--torch PYTHON] [--processor-time]
--processor-time counts the processor's seconds and not the clock's, for machines that others work on: a pass is what four
repetitions cost beyond one, and the figures are tokens a second of THREADS processors that do nothing else.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release"
THREADS, PROMPT, GENERATED = 2, 512, 64
# A prompt is taken in half a second: one alone is at the mercy of whatever else happens in it.
REPETITIONS = {"pp": 3, "tg": 1}
# What is measured: folder and flags of each.
MODELS = {
    "W8A8_DYNAMIC": ("w8a8_dynamic", []),
    "W8A8": ("w8a8", []),
    "bf16": ("model", []),
    "bf16 rounded": ("model", ["--compute", "model"]),
}


def run(command):
    """Output, processor seconds and peak bytes of a command."""
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise OSError(f"{command[0]} ended with {process.returncode}")
    return output, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def ours(model, flags, test, repetitions):
    prompt, generated = (PROMPT, 0) if test == "pp" else (0, GENERATED)
    output, seconds, peak = run([BUILD / "bin/slim-run", model, "--bench", "--json", "--bench-prompt", prompt, "--bench-tokens", generated,
                                 "--bench-repeat", repetitions, "--threads", THREADS, *flags])
    return statistics.median(json.loads(output)["tests"][0]["samples"]), seconds, peak


def llama(program, file, test, repetitions):
    prompt, generated = (PROMPT, 0) if test == "pp" else (0, GENERATED)
    repack = ["-rtr", "1"] if "-rtr" in subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout else []
    output, seconds, peak = run([program, "-m", file, "-t", THREADS, "-p", prompt, "-n", generated, "-r", repetitions, "-o", "json", *repack])
    return json.loads(output[output.index("["):])[0]["avg_ts"], seconds, peak


def by_processor_time(measure, test):
    """Tokens a second of THREADS processors, from the difference of two commands."""
    few, many = measure(test, 1)[1], measure(test, 4)[1]
    return (PROMPT if test == "pp" else GENERATED) * 3 * THREADS / max(many - few, 1e-9)


def torch_lines(python, model, rounds, processor_time):
    clock = ["--cpu"] if processor_time else []
    output = run([python, ROOT / "bench/run_torch.py", model, THREADS, PROMPT, GENERATED, rounds, *clock])[0]
    factor = THREADS if processor_time else 1
    values = {"pp": [], "tg": []}
    for line in output.splitlines():
        name, value = line.split()
        values[name].append(float(value) * factor)
    return values


def engines(args):
    found = {
        name: lambda test, repetitions, path=args.folder / folder, flags=flags: ours(path, flags, test, repetitions)
        for name, (folder, flags) in MODELS.items()
    }
    file = args.folder / "gguf/model.gguf"
    if args.llama_bench and shutil.which(args.llama_bench):
        found["Q8_0"] = lambda test, repetitions: llama(args.llama_bench, file, test, repetitions)
    else:
        print("not found: llama-bench (--llama-bench PROGRAM); no figures of Q8_0")
    return found


def speeds(args):
    values, peaks = {}, {}
    candidates = engines(args)
    for _ in range(args.rounds):
        for test in ("pp", "tg"):
            for name, measure in list(candidates.items()):
                try:
                    speed, _, peak = measure(test, REPETITIONS[test])
                    if args.processor_time:
                        speed = by_processor_time(measure, test)
                except (OSError, ValueError, KeyError) as error:
                    print(f"left out: {name}: {error}")
                    del candidates[name]
                    continue
                values.setdefault((name, test), []).append(speed)
                peaks[name] = max(peak, peaks.get(name, 0))
        if args.torch:
            try:
                for test, found in torch_lines(args.torch, args.folder / "model", 1, args.processor_time).items():
                    values.setdefault(("torch", test), []).extend(found)
            except OSError as error:
                print(f"left out: torch: {error}")
                args.torch = None
    if not args.torch:
        print("no figures of torch (--torch PYTHON)")
    return {key: statistics.median(found) for key, found in values.items()}, peaks


def machine(folder):
    found = {}
    for line in run([BUILD / "bench/bench_run", folder / "w8a8_dynamic", THREADS])[0].splitlines():
        name, value = line.split()
        found[name] = float(value)
    return found


def weight_bytes(folder):
    """What a token reads: of an embedding that the file has beside lm_head one row only, which is nothing."""
    config = json.loads((folder / "config.json").read_text())
    embedding = config["vocab_size"] * config["hidden_size"] * 2
    files = [path for pattern in ("*.safetensors", "*.gguf") for path in folder.glob(pattern)]
    with_head = any(name in path.open("rb").read(1 << 22) for path in files for name in (b'"lm_head.weight"', b"output.weight"))
    return sum(path.stat().st_size for path in files) - (embedding if with_head else 0)


def cache_bytes(folder):
    config = json.loads((folder / "config.json").read_text())
    head = config["hidden_size"] // config["num_attention_heads"]
    return PROMPT * config["num_hidden_layers"] * config["num_key_value_heads"] * head * 2 * 4


def compare(text, value, base, wanted):
    ratio = value / base if base else 0
    print(f"  {text}: {ratio:.2f} (wanted {wanted}) {'ok' if ratio >= wanted else 'MISSED'}")


def report(args, speed, peaks):
    folders = {name: args.folder / folder for name, (folder, _) in MODELS.items()} | {"Q8_0": args.folder / "gguf"}
    memory = machine(args.folder)
    for name, path in (folders | {"torch": args.folder / "model"}).items():
        if (name, "pp") in speed:
            moved = speed[name, "tg"] * weight_bytes(path) / 1e9
            print(f"{name:14} pp{PROMPT} {speed[name, 'pp']:8.1f} tokens/s   tg{GENERATED} {speed[name, 'tg']:7.2f} tokens/s, {moved:5.1f} GB/s of weights"
                  + (f"   peak {peaks[name] / 1e6:.0f} MB" if name in peaks else ""))
    print("machine: " + ", ".join(f"{name} {value:g}" for name, value in memory.items()))
    for name in ("W8A8", "W8A8_DYNAMIC"):
        if ("Q8_0", "pp") in speed and (name, "pp") in speed:
            compare(f"prefill of {name} over Q8_0", speed[name, "pp"], speed["Q8_0", "pp"], 2)
            compare(f"weights a second of {name} over Q8_0", speed[name, "tg"] * weight_bytes(folders[name]),
                    speed["Q8_0", "tg"] * weight_bytes(folders["Q8_0"]), 1)
    if ("torch", "pp") in speed:
        for name in ("bf16", "bf16 rounded"):
            compare(f"prefill of {name} over torch, which rounds", speed[name, "pp"], speed["torch", "pp"], 1)
    compare("weights a second of bf16 over the memory's", speed["bf16", "tg"] * weight_bytes(folders["bf16"]) / 1e9, memory["memory_gb_s"], 0.85)
    compare("integer products over the processor's peak", memory["gemm_gops"], memory["peak_gops"], 0.6)
    compare("loading over pread", memory["load_gb_s"], memory["pread_gb_s"], 0.7)
    for name in MODELS:
        limit = weight_bytes(folders[name]) + cache_bytes(folders[name]) + 200e6
        print(f"  peak memory of {name}: {peaks[name] / 1e6:.0f} MB (wanted at most {limit / 1e6:.0f}) {'ok' if peaks[name] <= limit else 'MISSED'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--llama-bench")
    parser.add_argument("--torch")
    parser.add_argument("--processor-time", action="store_true")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{THREADS} threads, load {load:.1f}" + (", processor time" if args.processor_time else ""))
    sys.stdout.flush()
    report(args, *speeds(args))


main()
