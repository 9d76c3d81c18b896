#!/usr/bin/env python3
"""Runs the unit test programs of a build folder (tests/unit_*), several at a time, and counts their cases.

Prints the output of programs that fail, and at the end "N passed, N failed, N skipped".
"""

import argparse
import concurrent.futures
import glob
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run(program, timeout, emulator):
    """(program, passed, failed, skipped, output)"""
    with tempfile.TemporaryDirectory(prefix="slim-unit-") as scratch:
        report = os.path.join(scratch, "report.json")
        environment = dict(os.environ, TEST_TMPDIR=scratch, TMPDIR=scratch, LC_ALL="C.UTF-8")
        try:
            # A death test starts the program again, which an emulator cannot.
            words = [*emulator, program, "--gtest_filter=-*DeathTest.*"] if emulator else [program]
            process = subprocess.run([*words, "--gtest_output=json:" + report, "--gtest_brief=1"], timeout=timeout,
                                     cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, check=False)
            output, code = process.stdout.decode("utf-8", "backslashreplace"), process.returncode
        except subprocess.TimeoutExpired as late:
            output = (late.stdout or b"").decode("utf-8", "backslashreplace") + f"\nno end within {timeout} s\n"
            code = -1
        try:
            with open(report, encoding="utf-8") as file:
                suites = json.load(file)["testsuites"]
        except (OSError, ValueError, KeyError):
            suites = []
    cases = [case for suite in suites for case in suite["testsuite"]]
    skipped = sum(case.get("result") == "SKIPPED" or case.get("status") == "NOTRUN" for case in cases)
    failed = sum("failures" in case for case in cases)
    passed = len(cases) - skipped - failed
    if code != 0 and failed == 0:
        failed = 1  # it died, or a sanitizer spoke at the end
        output += f"\nexit status {code}\n"
    return program, passed, failed, skipped, output


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", help="the build folder")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=600, help="seconds a program may take")
    parser.add_argument("--emulator", default="", help="a command that runs programs of another processor")
    arguments = parser.parse_args()
    found = glob.glob(os.path.join(os.path.abspath(arguments.build), "tests", "unit_*"))
    programs = sorted(path for path in found if os.path.isfile(path) and os.access(path, os.X_OK))
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for program, ok, bad, left, output in pool.map(lambda path: run(path, arguments.timeout, arguments.emulator.split()), programs):
            passed, failed, skipped = passed + ok, failed + bad, skipped + left
            print(f"{os.path.basename(program)}: {ok} passed, {bad} failed, {left} skipped", flush=True)
            if bad:
                print(output[-20000:])
    if not programs:
        print(f"no unit tests in {arguments.build}")
        failed = 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
