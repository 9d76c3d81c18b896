#!/usr/bin/env python3
"""The compiled library: instructions beyond x86-64-v2 stand only in functions that say so in their name and are chosen at run time.
(An inline function that one file compiles with AVX could replace its plain twin at link time, and crash older processors.)"""

import os
import pathlib
import platform
import re
import shutil
import subprocess
import unittest

BIN = pathlib.Path(os.environ.get("SLIM_BIN", pathlib.Path(__file__).resolve().parents[1] / "build" / "release" / "bin"))
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$", re.M)
# Any VEX or EVEX instruction: their mnemonics begin with v, but for verr and verw; and those of the general registers of AVX2's time.
# But tzcnt: GCC writes it for the baseline, too, because older processors read it as bsf and it is never asked about zero there.
WIDE = re.compile(r"^\s+[0-9a-f]+:\s+(?:v(?!err|erw|mcall|mrun)[a-z0-9]+|andn|bextr|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|kmov[bwdq])\b", re.M)
CHOSEN = re.compile(r"N_AVX|N_SSE4|4avx2|4vnni|10avx512bf16")  # Highway's namespaces, and those of int8_panel.cc and bf16_panel.cc


@unittest.skipUnless(platform.machine() == "x86_64" and shutil.which("objdump"), "objdump of x86-64 is needed")
class Objects(unittest.TestCase):
    def test_no_wide_instruction_in_the_baseline(self):
        archives = sorted(BIN.parent.glob("libslim_*.a"))
        self.assertGreater(len(archives), 15)
        chosen = 0
        for archive in archives:
            text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", archive], capture_output=True, text=True, check=True).stdout
            pieces = FUNCTION.split(text)
            for name, body in zip(pieces[1::2], pieces[2::2]):
                found = WIDE.search(body)
                if found and CHOSEN.search(name):
                    chosen += 1
                elif found:
                    with self.subTest(archive=archive.name, function=name):
                        self.fail(found.group().strip())
        self.assertGreater(chosen, 50, "the reader of this test sees nothing")


if __name__ == "__main__":
    unittest.main()
