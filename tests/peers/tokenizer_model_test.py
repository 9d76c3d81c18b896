#!/usr/bin/env python3
"""Holds the token ids of checkpoints that have only tokenizer.model against the sentencepiece package."""

import importlib.util
import os
import random
import shutil
import subprocess
import tempfile
import unittest

from safetensors.numpy import load_file

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("SLIM_BIN", os.path.join(ROOT, "build", "release", "bin"))
TEXT = os.path.join(ROOT, "testdata", "golden", "held-out-text.txt")
HAVE_SENTENCEPIECE = importlib.util.find_spec("sentencepiece") is not None


@unittest.skipUnless(HAVE_SENTENCEPIECE, "the sentencepiece package is not installed")
class TokenizerModel(unittest.TestCase):
    def texts(self):
        with open(TEXT, encoding="utf-8") as file:
            content = file.read()
        chance = random.Random(5)
        starts = [chance.randrange(len(content) - 400) for _ in range(6)]
        odd = ["a  b   c", " leading", "trailing ", "tabs\tand\nlines\n\n", "\u4f60\u597d\uff0c\u4e16\u754c \U0001f642 caf\u00e9",
               "\u2581already", "def f(x):\n    return x + 1\n", "\ufb01ne <sep> \uff37 <sep>"]
        return [content[start:start + 400] for start in starts] + odd

    def test_ids_of_bpe_are_sentencepieces(self):
        self.check(model_type="bpe", vocab_size=1200, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False)

    def test_ids_of_unigrams_are_sentencepieces(self):
        for byte_fallback in (False, True):
            self.check(model_type="unigram", vocab_size=700, byte_fallback=byte_fallback, user_defined_symbols=["<sep>"])
        self.check(model_type="unigram", vocab_size=700, normalization_rule_name="nfkc_cf", add_dummy_prefix=False)

    def check(self, **options):
        import sentencepiece
        with tempfile.TemporaryDirectory() as folder:
            prefix, model = os.path.join(folder, "spm"), os.path.join(folder, "model")
            sentencepiece.SentencePieceTrainer.train(
                input=TEXT, model_prefix=prefix, num_threads=1, minloglevel=2, **options)
            peer = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
            shutil.copytree(os.path.join(ROOT, "testdata", "models", "tiny-llama"), model)
            os.remove(os.path.join(model, "tokenizer.json"))
            with open(os.path.join(model, "tokenizer_config.json"), "w", encoding="utf-8") as file:
                file.write("{}")
            shutil.copy(prefix + ".model", os.path.join(model, "tokenizer.model"))
            for text in self.texts():
                logits = os.path.join(folder, "logits")
                subprocess.run([os.path.join(BIN, "slim-run"), model, "-p", text, "-n", "0", "--logits", logits, "--force"],
                               check=True, timeout=120)
                self.assertEqual(load_file(logits)["input_ids"].tolist(), [peer.bos_id(), *peer.encode(text)], repr(text))


if __name__ == "__main__":
    unittest.main()
