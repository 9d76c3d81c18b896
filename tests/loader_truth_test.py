#!/usr/bin/env python3
"""slim-verify --for against what the loaders' own code did (testdata/loaders/truth.tsv: outcome and what the loader said; of a
checkpoint and loader the run with the most repairs of things that have nothing to do with the checkpoint). Which rules may name the
cause follows from the loader's words (loader_causes.py), not from what slim-verify finds; where the words say nothing but that
outputs differ, the file names them. Where a loader refuses, crashes or computes wrong numbers there must be an error of one of these
rules, where it accepts none. Prints the agreement. Goldens that are not in testdata/ are looked for in ../shared and skipped elsewhere."""

import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from checkpoint_files import Checkpoint, copy_of  # noqa: E402
from loader_causes import causes  # noqa: E402
from loader_mutations import ALTERATIONS, ON_DISK  # noqa: E402

GOLDEN = ROOT / "testdata" / "golden"
SHARED = ROOT.parent / "shared" / "golden"
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
LOADERS = ("mindie", "mindie-atb", "vllm-ascend")
BASES = {
    "qwen2-bf16-static": "one-click/mini-qwen2-bfloat16/w8a8-static-all",
    "qwen2-bf16-dynamic": "one-click/mini-qwen2-bfloat16/w8a8-dynamic",
    "qwen3-fp16-static": "one-click/mini-qwen3-float16/w8a8-static-all",
}


def read_truth():
    rows = collections.defaultdict(dict)
    for line in (ROOT / "testdata" / "loaders" / "truth.tsv").read_text().splitlines():
        if line.startswith("#"):
            continue
        identity, loader, outcome, said, rules = line.split("\t")
        told = causes(loader, said) if said else None
        rows[identity][loader] = (outcome, told or set(rules.split(",")), told is not None)
    return rows


def altered(base, name, target):
    copy_of(GOLDEN / BASES[base], target)
    checkpoint = Checkpoint(target)
    if name in ON_DISK:
        ON_DISK[name](checkpoint)
    else:
        ALTERATIONS[name](checkpoint)
        checkpoint.write()
    return target


class Truth(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)

    def place(self, identity):
        """The checkpoint of a row, or None where it is not at hand."""
        kind, _, rest = identity.partition("/")
        target = self.folder / identity.replace("/", "_")
        if kind == "mut":
            return altered(*rest.split("/"), target)
        for folder in (GOLDEN, SHARED):
            if (folder / rest).is_dir():
                return copy_of(folder / rest, target)
        return None

    def findings(self, loader, paths):
        result = subprocess.run([BIN / "slim-verify", "--deep", "--json", "--for", loader, *paths], capture_output=True, text=True,
                                timeout=600, check=False)
        reports = json.loads(result.stdout)["reports"]
        self.assertEqual(len(reports), len(paths), result.stderr)
        return [{report["error"]["rule"]} if "error" in report
                else {finding["rule"] for finding in report["findings"] if finding["severity"] == "error"} for report in reports]

    def test_agreement(self):
        truth = read_truth()
        places = {identity: self.place(identity) for identity in truth}
        absent = [identity for identity, place in places.items() if place is None]
        here = [identity for identity, place in places.items() if place is not None]
        counts = collections.defaultdict(lambda: [0, 0])
        by_words = 0
        wrong = []
        for loader in LOADERS:
            for identity, errors in zip(here, self.findings(loader, [places[identity] for identity in here])):
                if loader not in truth[identity]:
                    continue
                outcome, rules, told = truth[identity][loader]
                agrees = not errors if outcome == "accepts" else bool(rules & errors)
                counts[outcome][0] += agrees
                counts[outcome][1] += 1
                by_words += told
                if not agrees:
                    wrong.append(f"{loader} {outcome}: {identity}: wanted {sorted(rules)}, found {sorted(errors)}")
        for outcome, (good, total) in sorted(counts.items()):
            print(f"{outcome}: {good} of {total}")
        print(f"agreement {sum(c[0] for c in counts.values())} of {sum(c[1] for c in counts.values())}; "
              f"{by_words} causes by the loader's own words; {len(absent)} checkpoints are not at hand")
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
