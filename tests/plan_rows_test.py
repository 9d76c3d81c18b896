#!/usr/bin/env python3
"""Every row of the test plan and every promise of slim-checkpoint(5) has a test, and every test that tests/plan.tsv names is there and run by check.sh."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROWS = 26


class Plan(unittest.TestCase):
    def setUp(self):
        lines = (ROOT / "tests" / "plan.tsv").read_text().splitlines()
        self.rows = [line.split("\t") for line in lines if not line.startswith("#")]
        self.check = (ROOT / "tests" / "check.sh").read_text()

    def test_every_row_has_a_test(self):
        page = (ROOT / "man" / "slim-checkpoint.5").read_text()
        promises = re.findall(r"^\.TP\n(.*)", re.search(r"^\.SH PROMISES\n(.*?)^\.SH", page, re.M | re.S).group(1), re.M)
        self.assertGreater(len(promises), 5)
        self.assertEqual({row[0] for row in self.rows}, {f"R{number}" for number in range(1, ROWS + 1)} | set(promises))
        for row in self.rows:
            self.assertEqual(len(row), 5, row)
            self.assertIn(row[1], ("P", "L"))

    def test_every_test_is_there_and_run(self):
        parts = set(re.search(r'all_parts="(.*)"', self.check).group(1).split()) | set(re.search(r'long_parts="(.*)"', self.check).group(1).split())
        for _, _, part, test, _ in self.rows:
            with self.subTest(test=test):
                self.assertIn(part, parts)
                file, _, case = test.partition(":")
                text = (ROOT / file).read_text()
                if case:
                    self.assertRegex(text, rf"\b{case}\b")
                if file.endswith(".py"):
                    self.assertTrue(pathlib.PurePath(file).name in self.check or file.startswith("tests/fault/"), "check.sh does not run it")

    def test_the_long_run_sets_what_long_tests_read(self):
        exported = " ".join(re.findall(r"export (.*)", self.check)).split()
        for variable in ("SLIM_LONG", "SLIM_CORRUPTIONS", "SLIM_KILLS", "SLIM_SERVER_FUZZ"):
            self.assertIn(variable, exported)


if __name__ == "__main__":
    unittest.main()
