#!/usr/bin/env python3
"""Runs test modules written with Python's unittest and counts their cases.

  run_python.py [--bin FOLDER] FILE_test.py...         runs them with this interpreter
  run_python.py --count FILE_test.py...                counts their cases without importing anything
Tests find the programs in $SLIM_BIN. The last line is "N passed, N failed, N skipped".
"""

import argparse
import ast
import importlib.util
import os
import sys
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    parser.add_argument("--count", action="store_true")
    arguments = parser.parse_args()
    if arguments.count:
        print(f"0 passed, 0 failed, {sum(count_cases(path) for path in arguments.files)} skipped")
        return 0
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
