#!/usr/bin/env python3
"""Holds the log-likelihoods of slim-run --choices against transformers, on prompts that are put together here."""

import json
import os
import subprocess
import unittest

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("SLIM_BIN", os.path.join(ROOT, "build", "release", "bin"))
QUESTIONS = os.path.join(ROOT, "testdata", "choices", "questions.jsonl")


def prompt_and_choices(row):
    """As lm-evaluation-harness words its tasks boolq, ceval and mmlu."""
    if "choices_pretokenized" in row:
        return row["inputs_pretokenized"], row["choices_pretokenized"], row["label"]
    if "passage" in row:
        return f"{row['passage']}\nQuestion: {row['question']}?\nAnswer:", [" no", " yes"], int(row["answer"])
    if "choices" in row:
        answer = row.get("gold", row.get("answer"))
        label = answer if isinstance(answer, int) else row["choices"].index(answer)
        return row.get("prompt", row.get("context")), [" " + choice for choice in row["choices"]], label
    letters = [letter for letter in "ABCDEF" if letter in row]
    lines = "".join(f"\n{letter}. {row[letter]}" for letter in letters)
    chinese = any("\u4e00" <= c <= "\u9fff" for c in row["question"])
    end, space = ("\n答案：", "") if chinese else ("\nAnswer:", " ")
    return row["question"] + lines + end, [space + letter for letter in letters], letters.index(row["answer"])


class Choices(unittest.TestCase):
    def check(self, name):
        model = os.path.join(ROOT, "testdata", "models", name)
        process = subprocess.run([os.path.join(BIN, "slim-run"), model, "--choices", QUESTIONS, "--json"], capture_output=True,
                                 text=True, timeout=120, check=True)
        report = json.loads(process.stdout)
        tokenizer = AutoTokenizer.from_pretrained(model)
        reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        with open(QUESTIONS, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file if line.strip()]
        hits = normalized = 0
        for row, item in zip(rows, report["items"], strict=True):
            prompt, choices, label = prompt_and_choices(row)
            self.assertEqual(item["label"], label)
            sums = []
            for choice, found in zip(choices, item["log_likelihoods"], strict=True):
                start = len(tokenizer(prompt)["input_ids"])
                ids = torch.tensor(tokenizer(prompt + choice)["input_ids"])[None]
                with torch.no_grad():
                    logprobs = torch.log_softmax(reference(ids).logits[0].double(), -1)
                wanted = sum(logprobs[i - 1, ids[0, i]].item() for i in range(start, ids.shape[1]))
                self.assertAlmostEqual(found, wanted, delta=2e-3, msg=f"{name}: {prompt}{choice}")
                sums.append(wanted)
            hits += sums.index(max(sums)) == label
            each = [value / len(choice.encode()) for value, choice in zip(sums, choices)]
            normalized += each.index(max(each)) == label
        count = len(rows)
        self.assertEqual((report["accuracy_hits"], report["normalized_accuracy_hits"], report["questions"]),
                         (hits, normalized, count))
        p = hits / count
        self.assertAlmostEqual(report["accuracy_standard_error"], (p * (1 - p) / (count - 1)) ** 0.5)

    def test_tiny_models(self):
        for name in ("tiny-llama", "tiny-qwen2", "tiny-qwen3"):
            with self.subTest(name):
                self.check(name)


if __name__ == "__main__":
    unittest.main()
