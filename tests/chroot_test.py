#!/usr/bin/env python3
"""The packages on systems that have nothing but them: the Debian packages in a fresh Debian 12 with what apt installs for them, the wheel in a
fresh Debian 13, whose libraries have other versions. (check.sh --long; needs root and mmdebstrap, and gets Debian's packages by name.)"""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from package_test import MODEL, ROOT, Scratch, TOOLS, make_debian_packages, make_wheel, run, version  # noqa: E402

# The main job, and an answer computed by it.
JOB = """set -eu
cd /tmp
slim-quant model -o w8a8 --type w8a8_dynamic -q
slim-verify --deep w8a8
slim-convert w8a8 -o back --dequantize -q
slim-diff model w8a8 --prompts prompts.txt --tokens 16 --windows 1 -q
slim-run w8a8 -p Hi -n 4 --temperature 0
"""


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("mmdebstrap"), "needs root and mmdebstrap")
class Chroot(Scratch):
    def bootstrap(self, suite, *packages):
        """A system of that suite; False where Debian's packages are out of reach."""
        os.mkdir(self.path("packages"))
        made = subprocess.run(["mmdebstrap", "--variant=minbase", "--mode=root", *(f"--include={name}" for name in packages), suite, self.path("root")],
                              capture_output=True, text=True, check=False)
        if made.returncode != 0:
            self.skipTest(f"no {suite} here: {made.stderr.strip().splitlines()[-1]}")
        shutil.copytree(MODEL, self.path("root", "tmp", "model"))
        with open(self.path("root", "tmp", "prompts.txt"), "w", encoding="utf-8") as file:
            file.write("The quick brown fox jumps over the lazy dog.")

    def inside(self, script):
        return run("chroot", self.path("root"), "sh", "-c", script, environment={"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})

    def job(self, folder=None):
        """The answer of the installed programs is that of the built ones."""
        answer = self.inside((f"PATH={folder}:$PATH\n" if folder else "") + JOB).splitlines()[-1]
        outside = self.path("w8a8")
        run(os.path.join(ROOT, "build", "release", "bin", "slim-quant"), MODEL, "-o", outside, "--type", "w8a8_dynamic", "-q")
        wanted = run(os.path.join(ROOT, "build", "release", "bin", "slim-run"), outside, "-p", "Hi", "-n", "4", "--temperature", "0")
        self.assertEqual(answer, wanted.splitlines()[-1])

    def test_debian_packages(self):
        self.bootstrap("bookworm")
        for name in make_debian_packages(self.path("dist")):
            shutil.copy(self.path("dist", name), self.path("root", "tmp"))
        self.inside("apt-get update -q && apt-get install -qy --no-install-recommends /tmp/*.deb")
        for tool in TOOLS:
            self.assertEqual(self.inside(f"{tool} --version"), f"{tool} {version()}\n")
        self.job()
        self.inside("apt-get install -qy --no-install-recommends g++ pkg-config")
        self.inside("cd /tmp && c++ -std=c++20 /usr/share/slim/guides/library/gate.cc -o gate $(pkg-config --cflags --libs slim) && "
                    "rm -rf out && ./gate model out | grep accepted")
        self.inside("apt-get purge -qy slim-tools libslim0 libslim-dev && ! find / -xdev -path '*/slim*' -not -path '/tmp/*' -not -path '/proc/*' "
                    "-not -path '/var/*' | grep .")

    def test_wheel_on_another_distribution(self):
        self.bootstrap("trixie", "python3", "python3-venv")
        wheel, = make_wheel(self.path("dist"))
        shutil.copy(self.path("dist", wheel), self.path("root", "tmp"))
        self.inside(f"python3 -m venv /tmp/venv && /tmp/venv/bin/pip install --no-index --disable-pip-version-check /tmp/{wheel}")
        for tool in TOOLS:
            self.assertEqual(self.inside(f"/tmp/venv/bin/{tool} --version"), f"{tool} {version()}\n")
        self.job("/tmp/venv/bin")


if __name__ == "__main__":
    unittest.main()
