#!/usr/bin/env python3
"""Runs the fuzz targets.

  run.py replay BUILD                      the committed corpus through replay_* of any build
  run.py fuzz BUILD [--seconds N] [-j N]   fuzz_* of a SLIM_FUZZ build from that corpus; a finding is kept in BUILD/findings,
                                           inputs that reach something new in BUILD/corpus, where the next run goes on
  run.py ... TARGET...                     only these, in this order
The last line is "N passed, N failed, N skipped", counting inputs or targets.
"""

import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

SLOWEST = 10  # seconds for one input
HERE = os.path.dirname(os.path.abspath(__file__))


def programs(build, prefix):
    found = {}
    for path in sorted(glob.glob(os.path.join(build, "tests", "fuzz", prefix + "*"))):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            found[os.path.basename(path)[len(prefix):]] = path
    return found


def corpus(target):
    return os.path.join(HERE, "corpus", target)


def replay(target, program):
    """(passed, failed, output)"""
    count = sum(len(files) for _, _, files in os.walk(corpus(target)))
    try:
        process = subprocess.run([program, corpus(target)], capture_output=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return 0, 1, f"{target}: no end within 300 s\n"
    if process.returncode == 0:
        return count, 0, ""
    error = process.stderr.decode("utf-8", "backslashreplace")
    return 0, 1, f"{target}: exit {process.returncode}\n{error[-6000:]}"


def dictionary(target):
    name = {"chat_template": "template", "glob": None, "command_line": None, "npy_dict": None, "sparse_codec": None,
            "safetensors_structured": None, "safetensors_round_trip": None, "kernels": None}.get(target, "json")
    return [f"-dict={os.path.join(HERE, name + '.dict')}"] if name else []


def fuzz(target, program, seconds, build):
    """(passed, failed, output)"""
    findings, kept = os.path.join(build, "findings"), os.path.join(build, "corpus", target)
    os.makedirs(findings, exist_ok=True)
    os.makedirs(kept, exist_ok=True)
    start, inputs = time.monotonic(), 0
    while True:
        left = max(1, int(start + seconds - time.monotonic()))
        code, output = fuzz_for(target, program, left, findings, kept)
        units = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
        inputs += int(units.group(1)) if units else 0
        late = re.search(r"Test unit written to (\S+-timeout-\S+)", output)
        if not late or not ends_alone(program, late.group(1)):
            break
        os.remove(late.group(1))
        code = 0
        if time.monotonic() >= start + seconds:
            break
    reached = re.findall(r" cov: (\d+) ft: (\d+)", output)
    edges, features = reached[-1] if reached else ("?", "?")
    summary = f"{target}: {inputs} inputs in {time.monotonic() - start:.0f} s, {edges} edges, {features} features\n"
    if code == 0:
        return 1, 0, summary
    told = "\n".join(line for line in output.splitlines() if not line.startswith("#"))
    return 0, 1, summary + f"exit {code}\n{told[-8000:]}\n"


def fuzz_for(target, program, seconds, findings, kept):
    """(exit code, output)"""
    command = [program, kept, corpus(target), f"-max_total_time={seconds}", f"-timeout={SLOWEST}", "-rss_limit_mb=2048",
               "-print_final_stats=1", f"-artifact_prefix={findings}/{target}-", *dictionary(target)]
    environment = dict(os.environ, ASAN_OPTIONS="exitcode=99:detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1")
    try:
        process = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 timeout=seconds + 120, check=False)
    except subprocess.TimeoutExpired as late:
        return -1, (late.stdout or b"").decode("utf-8", "backslashreplace")
    return process.returncode, process.stdout.decode("utf-8", "backslashreplace")


def ends_alone(program, path):
    """Whether an input that took too long by the clock, on a busy machine, takes less than that of a processor."""
    process = subprocess.run(["prlimit", f"--cpu={SLOWEST}", program, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return process.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("replay", "fuzz"))
    parser.add_argument("build")
    parser.add_argument("targets", nargs="*", help="only these")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_intermixed_args()
    found = programs(arguments.build, "replay_" if arguments.mode == "replay" else "fuzz_")
    if arguments.targets:
        unknown = [name for name in arguments.targets if name not in found]
        if unknown:
            parser.error(f"no target {', '.join(unknown)} in {arguments.build}")
        found = {name: found[name] for name in arguments.targets}
    build = os.path.abspath(arguments.build)

    def one(item):
        if arguments.mode == "replay":
            return replay(*item)
        return fuzz(*item, arguments.seconds, build)

    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for ok, bad, output in pool.map(one, found.items()):
            passed, failed = passed + ok, failed + bad
            print(output, end="", flush=True)
    if not found:
        failed = 1
        print(f"no fuzz targets in {arguments.build}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
