#!/usr/bin/env python3
"""Runs test modules written with Python's unittest and counts their cases.

  run_python.py [--bin FOLDER] [-j N] FILE_test.py...  runs them with this interpreter, N files at a time
  run_python.py --count FILE_test.py...                counts their cases without importing anything
Tests find the programs in $SLIM_BIN. The last line is "N passed, N failed, N skipped".
"""

import argparse
import ast
import concurrent.futures
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def count_cases(path):
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read(), path)
    return sum(isinstance(node, ast.FunctionDef) and node.name.startswith("test") for node in ast.walk(tree))


def load(path):
    name = "slim_" + os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, os.path.dirname(path))
    spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def run_apart(path, binaries):
    """A file in a process of its own: its output and counts."""
    start = time.monotonic()
    process = subprocess.run([sys.executable, os.path.abspath(__file__), "--bin", binaries, path], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="backslashreplace", check=False)
    counts = re.search(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", process.stdout, re.M)
    output = f"-- {os.path.basename(path)}: {time.monotonic() - start:.0f} s\n{process.stdout}"
    return output, [int(count) for count in counts.groups()] if counts else [0, 1, 0]


def run_all_apart(paths, binaries, jobs):
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda path: run_apart(path, binaries), paths))
    for output, counts in results:
        # The counts of one file are not the last word.
        print(re.sub(r"^(\d+ passed, \d+ failed), ", r"\1 here, ", output, flags=re.M), end="")
    passed, failed, skipped = (sum(counts[i] for _, counts in results) for i in range(3))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def hear_signals():
    """nohup and shells that put a command in the background have it ignore signals, and so would the programs that the tests stop by
    them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    parser.add_argument("-j", "--jobs", type=int, default=1)
    parser.add_argument("--count", action="store_true")
    arguments = parser.parse_args()
    if arguments.count:
        print(f"0 passed, 0 failed, {sum(count_cases(path) for path in arguments.files)} skipped")
        return 0
    if arguments.jobs > 1 and len(arguments.files) > 1:
        return run_all_apart(arguments.files, arguments.bin, arguments.jobs)
    hear_signals()
    os.environ["SLIM_BIN"] = os.path.abspath(arguments.bin)
    sys.dont_write_bytecode = True
    suite = unittest.TestSuite()
    broken = 0
    for path in arguments.files:
        try:
            suite.addTests(load(os.path.abspath(path)))
        except Exception as error:  # a module that cannot be imported is a failed test, not a crash of the runner
            broken += 1
            print(f"FAILED {path}: {type(error).__name__}: {error}")
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(suite)
    # A test with several failed parts (subTest) is one failed test.
    failed = len({getattr(case, "test_case", case).id() for case, _ in result.failures + result.errors})
    failed += len(result.unexpectedSuccesses)
    passed = max(result.testsRun - failed - len(result.skipped), 0)
    print(f"{passed} passed, {failed + broken} failed, {len(result.skipped)} skipped")
    return 1 if failed + broken else 0


if __name__ == "__main__":
    sys.exit(main())
