#!/usr/bin/env python3
"""Runs the fuzz targets.

  run.py replay BUILD                      the committed corpus through replay_* of any build
  run.py fuzz BUILD [--seconds N] [-j N]   fuzz_* of a SLIM_FUZZ build from that corpus; a finding is kept in BUILD/findings
The last line is "N passed, N failed, N skipped", counting inputs or targets.
"""

import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

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
    name = {"chat_template": "template", "glob": None, "command_line": None, "npy_dict": None, "sparse_codec": None}.get(target, "json")
    return [f"-dict={os.path.join(HERE, name + '.dict')}"] if name else []


def fuzz(target, program, seconds, findings):
    """(passed, failed, output)"""
    with tempfile.TemporaryDirectory(prefix="slim-fuzz-") as scratch:
        command = [program, scratch, corpus(target), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
                   "-print_final_stats=1", f"-artifact_prefix={findings}/{target}-", *dictionary(target)]
        environment = dict(os.environ, ASAN_OPTIONS="exitcode=99:detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1")
        try:
            process = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     timeout=seconds + 120, check=False)
            output, code = process.stdout.decode("utf-8", "backslashreplace"), process.returncode
        except subprocess.TimeoutExpired as late:
            output, code = (late.stdout or b"").decode("utf-8", "backslashreplace"), -1
    units = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    summary = f"{target}: {units.group(1) if units else '?'} inputs\n"
    if code == 0:
        return 1, 0, summary
    told = "\n".join(line for line in output.splitlines() if not line.startswith("#"))
    return 0, 1, summary + f"exit {code}\n{told[-8000:]}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("replay", "fuzz"))
    parser.add_argument("build")
    parser.add_argument("targets", nargs="*", help="only these")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    found = programs(arguments.build, "replay_" if arguments.mode == "replay" else "fuzz_")
    if arguments.targets:
        found = {name: path for name, path in found.items() if name in arguments.targets}
    findings = os.path.join(os.path.abspath(arguments.build), "findings")
    os.makedirs(findings, exist_ok=True)

    def one(item):
        if arguments.mode == "replay":
            return replay(*item)
        return fuzz(*item, arguments.seconds, findings)

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
