#!/usr/bin/env python3
"""Runs the command-line tests: tests/cli/FOLDER/CASE.sh, each a shell script (sh -eu) that plays one scene.

Beside CASE.sh stand what it must give; what is not there means: exit code 0, nothing on stdout, nothing on stderr.
  CASE.exit            the exit code, or "signal N"
  CASE.stdout.exact    stdout byte for byte       CASE.stderr.exact    likewise
  CASE.stdout.glob     stdout where * stands for any characters of a line and a line "..." for any lines
  CASE.stderr.glob     likewise
A case runs in a scratch folder of its own, which is its HOME and TMPDIR too, with the programs first in PATH and
  $TESTDATA  testdata/    $SCRATCH  the scratch folder    $ROOT  the checkout    $BIN  the programs
In the outputs those paths are replaced by these names before they are compared.
  --set   writes what the cases gave as what they must give (globs are left alone)
"""

import argparse
import concurrent.futures
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CASES = os.path.join(ROOT, "tests", "cli")
KEPT_ENVIRONMENT = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LD_LIBRARY_PATH")


class Outcome:
    def __init__(self, exit_text, stdout, stderr):
        self.exit = exit_text
        self.stream = {"stdout": stdout, "stderr": stderr}


def find_cases(patterns):
    cases = []
    for folder, folders, files in os.walk(CASES):
        folders.sort()
        for name in sorted(files):
            case = os.path.relpath(os.path.join(folder, name), CASES)
            if name.endswith(".sh") and (not patterns or any(pattern in case for pattern in patterns)):
                cases.append(case[:-3])
    return cases


def environment(bin_folder, scratch):
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    kept["PATH"] = bin_folder + ":" + kept.get("PATH", "/usr/bin:/bin")
    kept.update(LC_ALL="C.UTF-8", HOME=scratch, TMPDIR=scratch, SCRATCH=scratch, ROOT=ROOT, BIN=bin_folder,
                TESTDATA=os.path.join(ROOT, "testdata"), TERM="dumb")
    return kept


def normalize(data, bin_folder, scratch):
    text = data.decode("utf-8", "backslashreplace")
    names = ((scratch, "$SCRATCH"), (os.path.join(ROOT, "testdata"), "$TESTDATA"), (bin_folder, "$BIN"), (ROOT, "$ROOT"))
    for path, name in names:
        text = text.replace(path, name)
    return text


def exit_text(code):
    return f"signal {-code}" if code < 0 else str(code)


def run_case(case, bin_folder, timeout):
    scratch = tempfile.mkdtemp(prefix="slim-cli-")
    try:
        script = os.path.join(CASES, case + ".sh")
        process = subprocess.Popen(["sh", "-eu", script], cwd=scratch, env=environment(bin_folder, scratch),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
            code = exit_text(process.returncode)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            code = f"no end within {timeout} s"
        return Outcome(code, normalize(stdout, bin_folder, scratch), normalize(stderr, bin_folder, scratch))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def read(path):
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def glob_matches(pattern, text):
    """Lines; `*` within a line, "..." for any number of lines."""
    parts = []
    for line in pattern.splitlines():
        if line == "...":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append("[^\n]*".join(re.escape(part) for part in line.split("*")) + r"\n")
    return re.fullmatch("".join(parts), text) is not None


def difference(wanted, found, name):
    lines = difflib.unified_diff(wanted.splitlines(), found.splitlines(), "wanted " + name, "found " + name, lineterm="", n=2)
    return "\n".join(list(lines)[:60]) or f"{name}: differs in line ends"


def compare(case, outcome):
    """What is wrong, as text; empty when all is as it must be."""
    base = os.path.join(CASES, case)
    problems = []
    wanted_exit = (read(base + ".exit") or "0").strip()
    if outcome.exit != wanted_exit:
        problems.append(f"exit: wanted {wanted_exit}, found {outcome.exit}")
    for stream in ("stdout", "stderr"):
        exact, glob = read(f"{base}.{stream}.exact"), read(f"{base}.{stream}.glob")
        found = outcome.stream[stream]
        if glob is not None:
            if not glob_matches(glob, found):
                problems.append(difference(glob, found, stream + " (glob)"))
        elif found != (exact or ""):
            problems.append(difference(exact or "", found, stream))
    if problems and outcome.stream["stderr"] and not any("stderr" in problem for problem in problems):
        problems.append("stderr was:\n" + outcome.stream["stderr"])
    return "\n".join(problems)


def write_or_remove(path, text):
    if text:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    elif os.path.exists(path):
        os.remove(path)


def set_baseline(case, outcome):
    base = os.path.join(CASES, case)
    write_or_remove(base + ".exit", "" if outcome.exit == "0" else outcome.exit + "\n")
    for stream in ("stdout", "stderr"):
        if not os.path.exists(f"{base}.{stream}.glob"):
            write_or_remove(f"{base}.{stream}.exact", outcome.stream[stream])


def orphans():
    """Expectations without a case: a renamed script would otherwise leave a test that tests nothing."""
    found = []
    for folder, _, files in os.walk(CASES):
        for name in files:
            match = re.fullmatch(r"(.+?)\.(exit|std(?:out|err)\.(?:exact|glob))", name)
            if match and match.group(1) + ".sh" not in files:
                found.append(os.path.relpath(os.path.join(folder, name), CASES))
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", help="run the cases whose path contains one of these")
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"), help="folder of the programs")
    parser.add_argument("--set", action="store_true", help="take what the cases give as right")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=120, help="seconds a case may take")
    arguments = parser.parse_args()
    bin_folder = os.path.abspath(arguments.bin)
    cases = find_cases(arguments.patterns)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        outcomes = pool.map(lambda case: run_case(case, bin_folder, arguments.timeout), cases)
        for case, outcome in zip(cases, outcomes):
            problem = compare(case, outcome)
            if not problem:
                continue
            if arguments.set:
                set_baseline(case, outcome)
                print(f"set {case}")
                continue
            failed += 1
            print(f"FAILED {case}\n{problem}\n", flush=True)
    for name in orphans() if not arguments.patterns else ():
        failed += 1
        print(f"FAILED {name}: belongs to no case")
    passed = len(cases) - failed if not arguments.set else len(cases)
    print(f"{max(passed, 0)} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
