#!/usr/bin/env python3
"""Holds the tree against libcommon/README.md's layer table and the rules of the house.

The checks are functions of a root folder, so that the last class can plant an offence of each kind
in a copy and see it found.
"""

import os
import re
import shutil
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

TOP = {
    "CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", ".ci", ".clang-format", ".clang-tidy", ".gitignore",
    "bench", "cmake", "libcommon", "man", "presets", "schemas", "testdata", "tests", "tools",
}
IGNORED_TOP = re.compile(r"^(\.git|build|build-.*|__pycache__|\.cache|compile_commands\.json|shared)$")
MAX_LINES = 700
MAX_MAIN_LINES = 60
SOURCE = (".h", ".cc", ".inc", ".def")

# Of <> includes with a dot or slash: which third-party name of the table they belong to.
THIRD_PARTY = {
    "xxhash.h": "xxhash", "utf8proc.h": "utf8proc", "pcre2.h": "pcre2", "immintrin.h": "immintrin", "arm_neon.h": "immintrin",
    "zstd.h": "zstd", "mpi.h": "MPI", "httplib.h": "httplib", "arpa/inet.h": None,
}
# What the operating system gives belongs to os; the pool alone asks for the affinity mask itself.
POSIX_ELSEWHERE = {("libcommon/parallel/thread_pool.cc", "sched.h")}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
# Streams and process ends that only cli/ and tools/ may touch.
PRINTS = re.compile(
    r"\bstd::(cout|cerr|clog|printf|puts|exit|quick_exit|abort|terminate)\b|"
    r"(?<![\w.>:])(printf|fprintf|vprintf|puts|fputs|putchar|perror|exit|_exit|_Exit|abort)\s*\(|"
    r"\b(stdout|stderr)\b|::(_exit|exit|abort)\s*\(|\bfmt::print\s*\(")
# Dying of the signal that arrived is what os/interrupt.h owns.
MAY_END = {"libcommon/os/interrupt.cc"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def read_table(root):
    """{layer: (set of layers, set of third-party names)} in the order of the table."""
    table = {}
    for line in read(os.path.join(root, "libcommon", "README.md")).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 3 or cells[0] in ("layer", "") or set(cells[0]) <= set("-"):
            continue
        words = [set(cell.replace("–", "").split()) for cell in cells[1:]]
        table[cells[0]] = (words[0], words[1] - {"(in", "headers", "too)"})
    return table


def sources(root, folder):
    for directory, folders, files in os.walk(os.path.join(root, folder)):
        folders.sort()
        for name in sorted(files):
            if name.endswith(SOURCE):
                path = os.path.join(directory, name)
                yield os.path.relpath(path, root), read(path)


def strip_code(text):
    """The code without comments and without what stands in strings."""
    pattern = r'//[^\n]*|/\*.*?\*/|R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''
    return re.sub(pattern, lambda match: '""' if match.group(0)[0] in "\"R'" else " ", text, flags=re.S)


def third_party_name(header):
    if header in THIRD_PARTY:
        return THIRD_PARTY[header]
    return header.split("/")[0] if "/" in header else None


def is_system(header):
    return header.endswith(".h") and (header.startswith("sys/") or "/" not in header and header not in THIRD_PARTY)


def check_includes(root):
    table = read_table(root)
    order = list(table)
    problems = []
    for layer, (allowed, _) in table.items():
        for other in allowed:
            if other not in table:
                problems.append(f"libcommon/README.md: row {layer} names {other}, which is no layer")
            elif order.index(other) >= order.index(layer):
                problems.append(f"libcommon/README.md: row {layer} names {other}, which stands below it")
    for path, text in sources(root, "libcommon"):
        layer = path.split("/")[1]
        if layer not in table:
            problems.append(f"{path}: {layer} has no row in libcommon/README.md")
            continue
        allowed, libraries = table[layer]
        for kind, header in INCLUDE.findall(text):
            problems += check_include(path, layer, allowed, libraries, kind, header)
    for path, text in sources(root, "tools"):
        for kind, header in INCLUDE.findall(text):
            if kind == '"' and "/" in header and header.split("/")[0] not in table:
                problems.append(f'{path}: includes "{header}", which is no layer')
    return problems


def check_include(path, layer, allowed, libraries, kind, header):
    if kind == '"':
        target = header.split("/")[0]
        if "/" in header and (target == layer or target in allowed):
            return []
        return [f'{path}: {layer} may not include "{header}"']
    if header.startswith("fmt/") or "." not in header and "/" not in header:
        return []
    if is_system(header):
        if layer == "os" or (path, header) in POSIX_ELSEWHERE:
            return []
        return [f"{path}: <{header}> belongs to os/"]
    name = third_party_name(header)
    if name not in libraries:
        return [f"{path}: {layer} may not include <{header}>"]
    if path.endswith(".h"):
        return [f"{path}: <{header}> in a header; third-party headers belong in .cc files"]
    return []


def check_printing(root):
    problems = []
    for path, text in sources(root, "libcommon"):
        if path.startswith("libcommon/cli/") or path in MAY_END:
            continue
        for number, line in enumerate(strip_code(text).splitlines(), 1):
            found = PRINTS.search(line)
            if found:
                problems.append(f"{path}:{number}: {found.group(0).strip()}: only cli/ and tools/ print or exit")
    return problems


def check_top(root):
    return [f"{name}: is not in the fixed top-level list" for name in sorted(os.listdir(root))
            if name not in TOP and not IGNORED_TOP.match(name)]


def check_lengths(root):
    problems = []
    for folder in ("libcommon", "tools", "tests", "bench"):
        for path, text in sources(root, folder):
            lines = text.count("\n")
            limit = MAX_MAIN_LINES if re.fullmatch(r"tools/[^/]+/main\.cc", path) else MAX_LINES
            if lines > limit:
                problems.append(f"{path}: {lines} lines, the limit is {limit}")
    return problems


def check_headers(root):
    problems = []
    for path, text in sources(root, "libcommon"):
        if not path.endswith(".h"):
            continue
        if not text.startswith("//"):
            problems.append(f"{path}: does not begin with what it owns")
        if "#pragma once" not in text:
            problems.append(f"{path}: no #pragma once")
        if re.search(r"^\s*using namespace", text, re.M):
            problems.append(f"{path}: using namespace in a header")
    return problems


class Tree(unittest.TestCase):
    def expect_none(self, problems):
        self.assertFalse(problems, "\n" + "\n".join(problems))

    def test_table_is_read(self):
        table = read_table(ROOT)
        self.assertEqual(table["base"], (set(), {"fmt"}))
        self.assertEqual(table["os"], ({"base"}, {"xxhash", "zstd", "openssl"}))
        folders = {name for name in os.listdir(os.path.join(ROOT, "libcommon"))
                   if os.path.isdir(os.path.join(ROOT, "libcommon", name))
                   and os.listdir(os.path.join(ROOT, "libcommon", name))}
        self.assertLessEqual(folders, set(table))

    def test_includes(self):
        self.expect_none(check_includes(ROOT))

    def test_nothing_prints_or_exits(self):
        self.expect_none(check_printing(ROOT))

    def test_top_level(self):
        self.expect_none(check_top(ROOT))

    def test_lengths(self):
        self.expect_none(check_lengths(ROOT))

    def test_headers(self):
        self.expect_none(check_headers(ROOT))


class PlantedOffences(unittest.TestCase):
    """Each check finds what it is there for."""

    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        os.makedirs(os.path.join(self.root, "libcommon"))
        shutil.copy(os.path.join(ROOT, "libcommon", "README.md"), os.path.join(self.root, "libcommon"))

    def plant(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def test_an_edge_upwards(self):
        self.plant("libcommon/dtype/x.cc", '#include "json/json.h"\n')
        self.assertEqual(check_includes(self.root), ['libcommon/dtype/x.cc: dtype may not include "json/json.h"'])

    def test_a_relative_include(self):
        self.plant("libcommon/dtype/x.cc", '#include "dtype.h"\n')
        self.assertEqual(len(check_includes(self.root)), 1)

    def test_an_allowed_edge(self):
        self.plant("libcommon/tensor/x.cc", '#include "dtype/dtype.h"\n#include "tensor/x.h"\n#include <vector>\n')
        self.assertEqual(check_includes(self.root), [])

    def test_a_library_in_the_wrong_layer(self):
        self.plant("libcommon/tensor/x.cc", "#include <nlohmann/json.hpp>\n")
        self.assertEqual(check_includes(self.root), ["libcommon/tensor/x.cc: tensor may not include <nlohmann/json.hpp>"])

    def test_a_library_in_a_header(self):
        self.plant("libcommon/json/x.h", "// x\n#pragma once\n#include <nlohmann/json.hpp>\n#include <fmt/format.h>\n")
        self.assertEqual(len(check_includes(self.root)), 1)

    def test_the_system_outside_os(self):
        self.plant("libcommon/json/x.cc", "#include <unistd.h>\n#include <sys/stat.h>\n")
        self.assertEqual(len(check_includes(self.root)), 2)
        self.plant("libcommon/json/x.cc", "")
        self.plant("libcommon/os/x.cc", "#include <unistd.h>\n#include <sys/stat.h>\n#include <xxhash.h>\n")
        self.assertEqual(check_includes(self.root), [])

    def test_a_layer_without_a_row(self):
        self.plant("libcommon/misc/x.cc", "int x;\n")
        self.assertEqual(len(check_includes(self.root)), 1)

    def test_printing(self):
        for line in ('std::cout << 1;', 'printf("x");', 'std::fprintf(stderr, "x");', 'exit(1);', '::_exit(1);',
                     'std::abort();', 'fmt::print("x");'):
            self.plant("libcommon/json/x.cc", f"void F() {{ {line} }}\n")
            self.assertEqual(len(check_printing(self.root)), 1, line)
        self.plant("libcommon/json/x.cc", '// printf(1)\nint y = Fail("stderr");  /* exit(1) */\nobject.exit(1);\n')
        self.assertEqual(check_printing(self.root), [])

    def test_top_level(self):
        self.plant("src/x.cc", "")
        self.assertEqual(check_top(self.root), ["src: is not in the fixed top-level list"])

    def test_lengths(self):
        self.plant("libcommon/json/x.cc", "\n" * 701)
        self.plant("tools/slim-run/main.cc", "\n" * 61)
        self.plant("tools/slim-run/options.cc", "\n" * 61)
        self.assertEqual(len(check_lengths(self.root)), 2)

    def test_headers(self):
        self.plant("libcommon/json/x.h", "using namespace slim;\n")
        self.assertEqual(len(check_headers(self.root)), 3)


if __name__ == "__main__":
    unittest.main()
