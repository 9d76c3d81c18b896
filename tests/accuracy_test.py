#!/usr/bin/env python3
"""What quantization costs on the trained test models, beside what msModelSlim's own output costs (../shared/golden/accuracy.md:
mean KL on testdata/golden/held-out-text.txt, 12 windows of 256 tokens, judged by torch with exact integer products; slim-diff gives
the same figures to 1 %, tests/peers/diff_test.py). Same layers quantized, calib.jsonl for calibration."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from checkpoint_files import read_safetensors

ROOT = pathlib.Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "testdata" / "golden"
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))

# Of what msModelSlim 26.1.0's sparse type writes of tiny-qwen2 (llm_ptq Calibrator; w_bit 4, is_lowbit, use_sigma, fraction 0.011).
SPARSE_FLAGS = "--type w8a8s --smooth none --dtype fp16"
PEER_SHARE_OF_ZEROS = 0.1140

# Every row of accuracy.md: model, flags, the peer's KL, the share of it that is allowed. Several rows stand for more than one of
# the peer's where ours are the same: the row then holds the smallest of theirs.
ROWS = (
    ("tiny-qwen2", "--type w8a16", 0.000259, 1.0),  # one-click and traditional
    ("tiny-qwen2", "--type w8a8_dynamic --smooth none", 0.011514, 1.0),
    ("tiny-qwen2", "--smooth none", 0.032521, 1.0),  # traditional without anti-outlier; one-click 0.0678
    ("tiny-qwen2", "--smooth none --quantize-names *down_proj", 0.082440, 1.0),
    ("tiny-qwen2", "--type w8a8_dynamic", 0.000424, 1.0),
    ("tiny-qwen2", "", 0.000163, 1.0),  # m6, the best of the static rows
    ("tiny-qwen2", "--smooth iter", 0.000188, 1.0),
    ("tiny-qwen2", "--alpha 0.5", 0.000192, 1.0),
    ("tiny-qwen2", "--smooth smoothquant", 0.000192, 1.0),
    ("tiny-qwen2", "--smooth flex", 0.000187, 1.0),
    ("tiny-qwen2", "--anti-method m1", 0.000185, 1.0),
    ("tiny-qwen2", "--anti-method m2", 0.000190, 1.0),
    ("tiny-qwen2", "--anti-method m4", 0.000231, 1.0),
    ("tiny-qwen2", "--anti-method m6", 0.000163, 1.0),
    ("tiny-qwen2", "--type w4a8", 0.022247, 0.7),
    ("tiny-qwen2", "--type w4a8 --smooth none", 0.022247, 1.0),  # nothing but the weights as the peer's
    ("tiny-qwen2", SPARSE_FLAGS, 0.039974, 1.0),
    ("tiny-qwen2", "--type w4a16 --group-size 64 --asymmetric", 0.007745, 1.0),
    ("tiny-llama", "--type w8a16", 0.004350, 1.0),
    ("tiny-llama", "--type w8a8_dynamic --smooth none", 0.064397, 1.0),
    ("tiny-llama", "--smooth none", 0.424958, 1.0),
    ("tiny-llama", "--type w8a8_dynamic", 0.010706, 1.0),
    ("tiny-llama", "", 0.000574, 1.0),
    ("tiny-llama", "--smooth iter", 0.000574, 1.0),
)

# The peer's data-free rows once more, without any text: the first two w8a16 rows differ in what stays float.
DATA_FREE_ROWS = (
    ("tiny-qwen2", "--type w8a16", 0.000265, 1.0),
    ("tiny-qwen2", "--type w8a16 --disable-names *down_proj", 0.000259, 1.0),
    ("tiny-qwen2", "--type w8a8_dynamic --smooth none", 0.011514, 1.0),
    ("tiny-qwen2", "--type w4a8 --smooth none", 0.022247, 1.0),
    ("tiny-llama", "--type w8a16", 0.004350, 1.0),
    ("tiny-llama", "--type w8a8_dynamic --smooth none", 0.064397, 1.0),
)


def share_of_zeros(folder):
    codes = b"".join(bytes(tensor.data) for path in folder.glob("*.safetensors") for tensor in read_safetensors(path).values() if tensor.dtype == "I8")
    return codes.count(0) / len(codes)


class Accuracy(unittest.TestCase):
    def run_tool(self, tool, *arguments):
        return subprocess.run([BIN / tool, *map(str, arguments)], capture_output=True, text=True, timeout=600, check=True).stdout

    def check(self, row, *calibration):
        model, flags, peer_kl, share = row
        with self.subTest(f"{model} {flags}"), tempfile.TemporaryDirectory() as folder:
            source = ROOT / "testdata" / "models" / model
            output = pathlib.Path(folder) / "out"
            self.run_tool("slim-quant", source, "-o", output, "-q", "--no-fsync", *calibration, *flags.split())
            report = json.loads(self.run_tool("slim-diff", source, output, "--prompts", GOLDEN / "held-out-text.txt",
                                              "--windows", "12", "--tokens", "256", "--json", "-q"))
            kl = report["metrics"]["kl"]["mean"]
            print(f"{model:10} {flags:45} KL {kl:.6f} (peer {peer_kl:.6f})")
            self.assertLessEqual(kl, share * peer_kl)
            if flags == SPARSE_FLAGS:
                self.assertGreaterEqual(share_of_zeros(output), PEER_SHARE_OF_ZEROS)

    def test_costs_no_more_than_the_peer(self):
        for row in ROWS:
            self.check(row, "--calib", GOLDEN / "calib.jsonl")

    def test_without_text_either(self):
        for row in DATA_FREE_ROWS:
            self.check(row)


if __name__ == "__main__":
    unittest.main()
