"""slim-diff against the independent judge (torch, exact integer products) and its report against the schema."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import warnings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("SLIM_BIN", os.path.join(ROOT, "build", "release", "bin"))
JUDGE = os.path.join(os.path.dirname(ROOT), "shared", "judge")
GOLDEN = os.path.join(ROOT, "testdata", "golden")
MODELS = os.path.join(ROOT, "testdata", "models")
TEXT = os.path.join(GOLDEN, "held-out-text.txt")
WINDOWS, TOKENS = 12, 256


def slim_diff(first, second, *flags):
    command = [os.path.join(BIN, "slim-diff"), first, second, "--prompts", TEXT, "--json", *flags]
    process = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert process.returncode in (0, 1), process.stderr
    return json.loads(process.stdout)


@unittest.skipUnless(os.path.exists(os.path.join(JUDGE, "emulate.py")), f"SKIPPED: no judge in {JUDGE}")
class Judge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sys.path.insert(0, JUDGE)
        import emulate
        import transformers

        transformers.logging.set_verbosity_error()  # the text is longer than the context: it is cut into windows
        cls.emulate = emulate
        cls.tokenizer = transformers.AutoTokenizer
        with open(TEXT, encoding="utf-8") as file:
            cls.text = file.read()
        cls.floats = {}

    def float_model(self, path):
        if path not in self.floats:
            model = self.emulate.load(path)
            tokenizer = self.tokenizer.from_pretrained(path)
            self.floats[path] = model, tokenizer, self.emulate.perplexity(model, tokenizer, self.text, WINDOWS, TOKENS)
        return self.floats[path]

    def setUp(self):
        warnings.simplefilter("ignore", ResourceWarning)  # the judge's

    def check(self, first, second, tolerance):
        """KL to `tolerance` relative; a first choice may fall on the other side of a tie."""
        model, tokenizer, perplexity = self.float_model(first)
        other = self.emulate.load(second)
        kl, same = self.emulate.divergence(model, other, tokenizer, self.text, WINDOWS, TOKENS)
        metrics = slim_diff(first, second, "--windows", str(WINDOWS), "--metrics", "kl,top1,ppl")["metrics"]
        self.assertLess(abs(metrics["kl"]["mean"] - kl), tolerance * kl, (metrics["kl"]["mean"], kl))
        self.assertLess(abs(metrics["top1"]["agreement"] - same), 0.0025)
        self.assertLess(abs(metrics["ppl"]["first"] / perplexity - 1), 1e-5)
        judged = self.emulate.perplexity(other, tokenizer, self.text, WINDOWS, TOKENS)
        self.assertLess(abs(metrics["ppl"]["second"] / judged - 1), 2e-3)

    def statistics(self, first, second, windows, tokens):
        """Every figure of slim-diff, by torch and numpy in float64."""
        import numpy
        import torch

        model, tokenizer, _ = self.float_model(first)
        other = self.emulate.load(second)
        ids = tokenizer(self.text, add_special_tokens=False).input_ids
        kl, cosine, square, top1, top5, first_nll, second_nll = [], [], [], [], [], [], []
        for row in torch.tensor(ids[: windows * tokens]).view(windows, tokens):
            with torch.no_grad():
                a = model(input_ids=row[None]).logits[0].double()
                b = other(input_ids=row[None]).logits[0].double()
            p, q = torch.log_softmax(a, -1), torch.log_softmax(b, -1)
            kl += (p.exp() * (p - q)).sum(-1).tolist()
            cosine += torch.cosine_similarity(a, b, dim=-1).tolist()
            square += ((a - b) ** 2).mean(-1).tolist()
            top1 += (a.argmax(-1) == b.argmax(-1)).double().tolist()
            top5 += (b.topk(5).indices == a.argmax(-1, keepdim=True)).any(-1).double().tolist()
            first_nll += (-p[:-1].gather(1, row[1:, None]))[:, 0].tolist()
            second_nll += (-q[:-1].gather(1, row[1:, None]))[:, 0].tolist()
        first_nll, second_nll = numpy.array(first_nll), numpy.array(second_nll)
        delta = numpy.exp(-second_nll) - numpy.exp(-first_nll)
        error = lambda values: numpy.std(values, ddof=1) / len(values) ** 0.5
        return {
            "kl": {"mean": numpy.mean(kl), "standard_error": error(kl), "median": numpy.median(kl),
                   "p95": numpy.quantile(kl, 0.95), "p99": numpy.quantile(kl, 0.99), "max": numpy.max(kl)},
            "delta_p": {"rms": numpy.mean(delta**2) ** 0.5, "p5": numpy.quantile(delta, 0.05), "p95": numpy.quantile(delta, 0.95)},
            "top1": {"agreement": numpy.mean(top1)}, "top5": {"agreement": numpy.mean(top5)},
            "cosine": {"mean": numpy.mean(cosine), "min": numpy.min(cosine)}, "rmse": {"rmse": numpy.mean(square) ** 0.5},
            "ppl": {"first": numpy.exp(first_nll.mean()), "first_standard_error": numpy.exp(first_nll.mean()) * error(first_nll),
                    "second": numpy.exp(second_nll.mean()), "ratio": numpy.exp((second_nll - first_nll).mean()),
                    "ratio_standard_error": numpy.exp((second_nll - first_nll).mean()) * error(second_nll - first_nll)},
        }

    def test_every_statistic(self):
        first = os.path.join(GOLDEN, "models", "mini-qwen2-bfloat16")
        second = os.path.join(GOLDEN, "one-click", "mini-qwen2-bfloat16", "w8a16")
        wanted = self.statistics(first, second, 2, 128)
        found = slim_diff(first, second, "--windows", "2", "--tokens", "128", "--backend", "reference")["metrics"]
        for metric, figures in wanted.items():
            for name, value in figures.items():
                with self.subTest(metric=metric, name=name):
                    self.assertLess(abs(found[metric][name] - value), 1e-4 * abs(value), (found[metric][name], value))

    def test_golden_checkpoints(self):
        first = os.path.join(GOLDEN, "models", "mini-qwen2-bfloat16")
        for name, tolerance in (("w8a16", 1e-4), ("w8a8-dynamic", 1e-2), ("w8a8-static", 1e-2)):
            with self.subTest(name):
                self.check(first, os.path.join(GOLDEN, "one-click", "mini-qwen2-bfloat16", name), tolerance)

    def test_tiny_models(self):
        for model in ("tiny-qwen2", "tiny-llama", "tiny-qwen3"):
            first = os.path.join(MODELS, model)
            for kind, tolerance in (("w8a16", 1e-4), ("w8a8_dynamic", 1e-2), ("w8a8", 1e-2)):
                with self.subTest(model=model, kind=kind), tempfile.TemporaryDirectory() as scratch:
                    second = os.path.join(scratch, kind)
                    smooth = [] if kind == "w8a16" else ["--smooth", "none"]
                    command = [os.path.join(BIN, "slim-quant"), first, "-o", second, "--type", kind, *smooth]
                    subprocess.run(command, check=True, capture_output=True, timeout=600)
                    self.check(first, second, tolerance)


class Schema(unittest.TestCase):
    def validate(self, report):
        import jsonschema

        with open(os.path.join(ROOT, "schemas", "diff_report.schema.json"), encoding="utf-8") as file:
            jsonschema.Draft202012Validator(json.load(file)).validate(report)

    def test_reports_keep_the_schema(self):
        first = os.path.join(GOLDEN, "models", "mini-qwen2-bfloat16")
        second = os.path.join(GOLDEN, "one-click", "mini-qwen2-bfloat16", "w8a8-static")
        small = ("--tokens", "24", "--windows", "2")
        self.validate(slim_diff(first, second, *small, "--max-kl", "0.0001", "--min-cosine", "0"))
        self.validate(slim_diff(first, first, *small, "--metrics", "rmse"))

    def test_a_report_of_nan_keeps_the_schema(self):
        import shutil

        first = os.path.join(GOLDEN, "models", "mini-qwen2-bfloat16")
        with tempfile.TemporaryDirectory() as scratch:
            bad = os.path.join(scratch, "bad")
            shutil.copytree(first, bad)
            weights = os.path.join(bad, "model.safetensors")
            os.chmod(weights, 0o600)
            with open(weights, "r+b") as file:
                file.seek(-2, os.SEEK_END)
                file.write(b"\xc0\x7f")  # a bfloat16 NaN
            report = slim_diff(first, bad, "--tokens", "24", "--windows", "1")
        self.assertEqual(report["non_finite"]["model"], "second")
        self.validate(report)


if __name__ == "__main__":
    unittest.main()
