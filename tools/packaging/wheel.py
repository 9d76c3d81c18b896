#!/usr/bin/env python3
"""Makes the Python wheel slim-tools: the five programs with their data and the libraries they need.

    wheel.py FOLDER_OF_BUILD DIST

The build must be one of `cmake --preset wheel`: without MPI, looking for libraries in ../lib/slim-tools. The wheel
has no Python code; pip puts the programs into bin/ and the data into share/slim. The same build gives the same bytes.
"""

import base64
import hashlib
import os
import re
import stat
import subprocess
import sys
import tempfile
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What every Linux that the tag allows has (PEP 600).
SYSTEM = re.compile(r"^(libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|ld-linux.*)\.so")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(programs):
    """{soname: path} of the libraries to carry."""
    found = {}
    for program in programs:
        for name, path in re.findall(r"^\s*(\S+) => (/\S+)", run("ldd", program), re.M):
            if not SYSTEM.match(name):
                found[name] = os.path.realpath(path)
    return found


def copyright_of(path):
    for spelling in (path, re.sub("^/usr", "", path)):
        owner = subprocess.run(["dpkg-query", "-S", spelling], capture_output=True, text=True, check=False).stdout
        if owner:
            return f"/usr/share/doc/{owner.split(':')[0]}/copyright"
    return None


def tree(folder):
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(parent, name)
            yield os.path.relpath(path, folder), path


def metadata(version):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    return (f"Metadata-Version: 2.1\nName: slim-tools\nVersion: {version}\n"
            "Summary: Quantized checkpoints for Ascend NPUs: make, convert, verify, compare, run\n"
            "License: Apache-2.0\nDescription-Content-Type: text/markdown\n\n" + readme)


def main():
    build, dist = sys.argv[1:]
    version = re.search(r"project\(slim VERSION (\S+)", open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8").read()).group(1)
    glibc = os.confstr("CS_GNU_LIBC_VERSION").split()[1].replace(".", "_")
    machine = os.uname().machine
    tag = f"py3-none-manylinux_{glibc}_{machine}"
    stem = f"slim_tools-{version}"
    entries = {}
    with tempfile.TemporaryDirectory() as stage:
        run("cmake", "--install", build, "--prefix", stage, "--component", "tools", "--strip")
        programs = []
        for name, path in tree(stage):
            with open(path, "rb") as file:
                content = file.read()
            if name.startswith("bin/"):
                programs.append(path)
                entries[f"{stem}.data/scripts/{os.path.basename(name)}"] = content
            else:
                entries[f"{stem}.data/data/{name}"] = content
        for name, path in needed(programs).items():
            with open(path, "rb") as file:
                entries[f"{stem}.data/data/lib/slim-tools/{name}"] = file.read()
            licence = copyright_of(path)
            if licence:
                with open(licence, "rb") as file:
                    entries[f"{stem}.dist-info/licenses/{name}.copyright"] = file.read()
    entries[f"{stem}.dist-info/METADATA"] = metadata(version).encode()
    entries[f"{stem}.dist-info/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: slim\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')},{len(content)}\n"
        for name, content in sorted(entries.items()))
    entries[f"{stem}.dist-info/RECORD"] = (record + f"{stem}.dist-info/RECORD,,\n").encode()
    os.makedirs(dist, exist_ok=True)
    target = os.path.join(dist, f"{stem}-{tag}.whl")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(entries.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | (0o755 if "/scripts/" in name else 0o644)) << 16
            archive.writestr(info, content)
    print(target)


if __name__ == "__main__":
    main()
