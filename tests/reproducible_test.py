#!/usr/bin/env python3
"""The preset package, built from two copies of the tree in folders of different names and lengths, without a compiler cache, gives the same
Debian packages byte for byte. (check.sh --long: two whole builds.)"""

import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from package_test import ROOT, Scratch, make_debian_packages, run  # noqa: E402


class Reproducible(Scratch):
    def packages(self, *folder):
        tree = self.path(*folder)
        names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
        for name in filter(None, names):
            os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, name), os.path.join(tree, name))
        run("cmake", "--preset", "package", cwd=tree)
        run("cmake", "--build", "--preset", "package", cwd=tree, environment={"CCACHE_DISABLE": "1"})
        found = make_debian_packages(self.path(*folder, "dist"), os.path.join(tree, "build", "package"))
        programs = [os.path.join(tree, "build", "package", "bin", name) for name in sorted(os.listdir(os.path.join(tree, "build", "package", "bin")))]
        for program in programs:
            texts = subprocess.run(["strings", program], capture_output=True, text=True, check=True).stdout
            self.assertNotIn(tree, texts, program)
        return found

    def test_two_builds_are_the_same(self):
        self.assertEqual(self.packages("one"), self.packages("a", "longer", "name"))


if __name__ == "__main__":
    unittest.main()
