"""One run of a program with what the system counted of it."""

import subprocess
import sys
import typing

# A child begins with the peak of its parent: this process starts the program in place of the test's large one.
STARTER = """import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime)
"""


class MeasuredRun(typing.NamedTuple):
    code: int
    peak: int  # resident bytes
    seconds: float  # of all processors
    error: str  # the end of stderr


def run_measured(command, cwd=None, timeout=300):
    result = subprocess.run([sys.executable, "-I", "-S", "-c", STARTER, *command], cwd=cwd, capture_output=True, text=True,
                            timeout=timeout, check=True)
    code, peak, seconds = result.stdout.split()[-3:]
    return MeasuredRun(int(code), int(peak), float(seconds), result.stderr[-500:])
