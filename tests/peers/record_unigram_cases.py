#!/usr/bin/env python3
"""Trains the unigram models of testdata/text with the sentencepiece package and records the ids that it gives.

usage: record_unigram_cases.py
Recorded with sentencepiece 0.2.3. nfkc.model has the table of nmt_nfkc, byte fallback and user-defined symbols; plain.model has
none of them, and keeps white space as it is.
"""
import json
import pathlib
import random

import sentencepiece

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "testdata/text/unigram"
TEXT = ROOT / "testdata/golden/held-out-text.txt"
MODELS = {
    "nfkc": {"normalization_rule_name": "nmt_nfkc", "byte_fallback": True, "user_defined_symbols": ["<sep>", "<se", "<mask>"]},
    "plain": {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "add_dummy_prefix": False},
}
ODD = ["", " ", "   ", "a  b   c", " leading", "trailing ", "tabs\tand\nlines\n\n", "\u4f60\u597d\uff0c\u4e16\u754c \U0001f642 caf\u00e9",
       "\u2581already", "def f(x):\n    return x + 1\n", "\ufb01ne \u2460\u2461 \uff46\uff55\uff4c\uff4c \u3000ideographic", "x\u200by\ufeffz\u00ad",
       "<mask> <mask><sep>a<sep>", "a<sep> <sep>  b", "<se", "e\u0301 \u00e9 \ufdfa\ufdfa", "\ud55c\uad6d\uc5b4 \u1100\u1161\u11a8", "\u2167 \u00bd \u337f \u338f \u2122",
       "\x01\x02 ctrl\x7f \x85", "\u65e5\u672c\u8a9e\U0001f469\u200d\U0001f467"]


def texts():
    content = TEXT.read_text(encoding="utf-8")
    chance = random.Random(5)
    pool = list(" \t\n\u3000 aA\u00e9e\ufb01\u2460\uff37\u4f60\u597d<sep>mask\uff76\uff9e\uac00\U0001f642\u0301\u200b\u25810-9.,")
    passages = [content[start:start + 200] for start in (chance.randrange(len(content) - 200) for _ in range(8))]
    return ODD + passages + ["".join(chance.choice(pool) for _ in range(24)) for _ in range(60)]


def main():
    FOLDER.mkdir(exist_ok=True)
    cases = {}
    for name, options in MODELS.items():
        sentencepiece.SentencePieceTrainer.train(input=str(TEXT), model_prefix=str(FOLDER / name), vocab_size=700, model_type="unigram",
                                                 num_threads=1, minloglevel=2, **options)
        (FOLDER / f"{name}.vocab").unlink()
        peer = sentencepiece.SentencePieceProcessor(model_file=str(FOLDER / f"{name}.model"))
        cases[name] = [{"text": text, "ids": peer.encode(text)} for text in texts()]
    (FOLDER / "cases.json").write_text(json.dumps(cases, indent=0) + "\n", encoding="utf-8")


main()
