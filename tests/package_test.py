#!/usr/bin/env python3
"""What is shipped: the installed library as others build against it, the Debian packages, the Python wheel."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build", "release")
MODEL = os.path.join(ROOT, "testdata", "models", "tiny-qwen2")
TOOLS = ["slim-convert", "slim-diff", "slim-quant", "slim-run", "slim-verify"]


def run(*command, environment=None, cwd=None):
    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd,
                             env=dict(os.environ, **(environment or {})))
    assert process.returncode == 0, f"{' '.join(command)}: exit {process.returncode}\n{process.stdout}\n{process.stderr}"
    return process.stdout


class Scratch(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix="slim-package-")
        self.addCleanup(shutil.rmtree, self.scratch)

    def path(self, *names):
        return os.path.join(self.scratch, *names)


class Library(Scratch):
    """The guide's program, built the two ways there are, against an installation outside the tree."""

    def setUp(self):
        super().setUp()
        run("cmake", "--install", BUILD, "--prefix", self.path("usr"))
        shutil.copytree(self.path("usr", "share", "slim", "guides", "library"), self.path("gate"))

    def check_gate(self, program):
        libraries = {"LD_LIBRARY_PATH": os.path.dirname(self.find("libslim.so.0"))}
        words = run(program, MODEL, self.path("out"), environment=libraries).splitlines()[-1].split()
        self.assertEqual(words[0], "W8A8_DYNAMIC,")
        self.assertEqual(words[-1], "accepted")
        self.assertTrue(os.path.exists(self.path("out", "config.json")))

    def find(self, name):
        for folder, _, files in os.walk(self.path("usr")):
            if name in files:
                return os.path.join(folder, name)
        raise AssertionError(f"{name} is not installed")

    def test_find_package(self):
        package = os.path.dirname(self.find("slimConfig.cmake"))
        run("cmake", "-S", self.path("gate"), "-B", self.path("build"), f"-Dslim_DIR={package}", "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
        run("cmake", "--build", self.path("build"))
        self.check_gate(self.path("build", "gate"))

    def test_pkg_config(self):
        where = {"PKG_CONFIG_PATH": os.path.dirname(self.find("slim.pc"))}
        self.assertEqual(run("pkg-config", "--modversion", "slim", environment=where).strip(), version())
        flags = run("pkg-config", "--cflags", "--libs", "slim", environment=where).split()
        run("c++", "-std=c++20", self.path("gate", "gate.cc"), "-o", self.path("gate", "gate"), *flags)
        self.check_gate(self.path("gate", "gate"))

    def test_exports_nothing_but_the_interface(self):
        names = run("nm", "-D", "--defined-only", "-C", self.find("libslim.so.0.1.0")).splitlines()
        names = [line.split(maxsplit=2)[2] for line in names]
        self.assertTrue(any(name.startswith("slim::api::Verify(") for name in names))
        strangers = [name for name in names if not re.match(
            r"(slim::(api::|Error::|SilentListener\(\))|(typeinfo|typeinfo name|vtable) for slim::Listener)", name)]
        self.assertEqual(strangers, [])


def version():
    with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as file:
        return re.search(r"project\(slim VERSION (\S+)", file.read()).group(1)


def digests(folder):
    result = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                result[name] = hashlib.sha256(file.read()).hexdigest()
    return result


def make_debian_packages(folder, build=BUILD):
    """Name and digest of each."""
    run("cpack", "-G", "DEB", "--config", os.path.join(build, "CPackConfig.cmake"), "-B", folder, environment={"SOURCE_DATE_EPOCH": "1700000000"})
    return digests(folder)


def make_wheel(folder):
    """Name and digest, from the build of the preset wheel."""
    run("cmake", "--preset", "wheel", cwd=ROOT)
    run("cmake", "--build", "--preset", "wheel", cwd=ROOT)
    run(sys.executable, os.path.join(ROOT, "tools", "packaging", "wheel.py"), os.path.join(ROOT, "build", "wheel"), folder)
    return digests(folder)


class DebianPackages(Scratch):
    def test_packages(self):
        first = make_debian_packages(self.path("first"))
        architecture = run("dpkg", "--print-architecture").strip()
        self.assertEqual(list(first), [f"{name}_{version()}_{architecture}.deb" for name in ("libslim-dev", "libslim0", "slim-tools")])
        self.assertEqual(make_debian_packages(self.path("second")), first, "two packagings of one build differ")
        for name in first:
            run("dpkg-deb", "-x", self.path("first", name), self.path("root"))
        self.check_root()
        depends = run("dpkg-deb", "-f", self.path("first", f"slim-tools_{version()}_{architecture}.deb"), "Depends")
        self.assertIn("libc6", depends)
        self.assertNotIn("libslim0", depends, "the programs need no library of ours")

    def check_root(self):
        for tool in TOOLS:
            self.assertEqual(run(self.path("root", "usr", "bin", tool), "--version"), f"{tool} {version()}\n")
            for file in (f"share/man/man1/{tool}.1", f"share/bash-completion/completions/{tool}",
                         f"share/zsh/vendor-completions/_{tool}", f"share/fish/vendor_completions.d/{tool}.fish"):
                self.assertGreater(os.path.getsize(self.path("root", "usr", file)), 500, file)
        presets = json.loads(run(self.path("root", "usr", "bin", "slim-quant"), "--list-presets", "--json"))
        self.assertTrue(presets)
        with open(self.path("root", "usr", "share", "doc", "slim-tools", "sbom.spdx.json"), encoding="utf-8") as file:
            bill = json.load(file)
        names = {package["name"] for package in bill["packages"]}
        self.assertLessEqual({"slim", "libc6", "libfmt9", "libyaml-cpp0.7", "nlohmann-json3-dev"}, names)
        for package in bill["packages"]:
            self.assertTrue(package["versionInfo"], package["name"])


@unittest.skipUnless(importlib.util.find_spec("ensurepip"), "python3-venv is not installed")
class Wheel(Scratch):
    def test_wheel(self):
        made = make_wheel(self.path("first"))
        self.assertEqual(made, make_wheel(self.path("second")), "two packagings of one build differ")
        run(sys.executable, "-m", "venv", self.path("venv"))
        run(self.path("venv", "bin", "python"), "-m", "pip", "install", "--no-index", "--disable-pip-version-check",
            self.path("first", next(iter(made))))
        for tool in TOOLS:
            self.assertEqual(run(self.path("venv", "bin", tool), "--version"), f"{tool} {version()}\n")
        run(self.path("venv", "bin", "slim-verify"), MODEL)
        carried = run("ldd", self.path("venv", "bin", "slim-quant"))
        self.assertIn("slim-tools/libfmt.so", carried)
        self.assertNotIn("libmpi", carried)
        self.assertNotRegex(run("readelf", "-d", self.path("venv", "bin", "slim-quant")), r"path: \[[^]]*:\]", "an empty entry is the working directory")


if __name__ == "__main__":
    unittest.main()
