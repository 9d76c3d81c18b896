#!/usr/bin/env python3
"""Speed of transformers on torch in bf16, as lines "NAME tokens a second": pp512 and tg64, one each a round.

usage: run_torch.py CHECKPOINT THREADS PROMPT GENERATED ROUNDS
"""
import sys
import time

import torch
import transformers


def main():
    path, threads, prompt, generated, rounds = sys.argv[1], *map(int, sys.argv[2:6])
    torch.set_num_threads(threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).eval()
    tokens = torch.arange(prompt).reshape(1, -1) % model.config.vocab_size
    clock = time.process_time if "--cpu" in sys.argv else time.perf_counter
    with torch.inference_mode():
        for count in range(rounds + 1):
            start = clock()
            model(tokens, logits_to_keep=1)
            middle = clock()
            cache = transformers.DynamicCache()
            for i in range(generated):
                model(tokens[:, i:i + 1], past_key_values=cache, logits_to_keep=1)
            end = clock()
            if count:  # the first round warms up
                print(f"pp {prompt / (middle - start):.2f}")
                print(f"tg {generated / (end - middle):.2f}")


main()
