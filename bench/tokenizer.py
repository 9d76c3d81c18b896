#!/usr/bin/env python3
"""Our tokenizer against the tokenizers package on one thread: equal ids and time, on mixed text (prose, Chinese, code, emoji, random
characters) that is the same on every machine.

usage: tokenizer.py BENCH_TEXT [--bytes 2000000] [--tokenizer tokenizer.json ...]
BENCH_TEXT is the program of bench/bench_text.cc (cmake -DSLIM_BENCH=ON). Exits 1 when an id differs; wanted are ids that are all
equal and at least 0.5 of the package's speed.
"""
import argparse
import array
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def mixed_text(size):
    rng = random.Random(2)
    prose = (ROOT / "testdata/golden/held-out-text.txt").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "bench").glob("*.py")))
    pieces, total = [], 0
    while total < size:
        kind, length = rng.randrange(5), rng.randrange(20, 400)
        if kind < 2:
            source = (prose, code)[kind]
            begin = rng.randrange(len(source) - length)
            piece = source[begin:begin + length]
        elif kind == 2:
            piece = "".join(chr(rng.randrange(0x4E00, 0x9FA5)) if rng.random() > 0.1 else "，。！？ "[rng.randrange(5)] for _ in range(length))
        elif kind == 3:
            piece = "".join(chr(rng.randrange(0x1F300, 0x1F650)) + rng.choice(["", " ", "\u200d", "\ufe0f"]) for _ in range(length // 4))
        else:
            piece = rng.randbytes(length).decode("utf-8", "replace")
        pieces.append(piece)
        total += len(piece.encode())
    return "".join(pieces)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("bench_text")
    parser.add_argument("--bytes", type=int, default=2_000_000)
    parser.add_argument("--tokenizer", nargs="*", default=[ROOT / "testdata/models" / name / "tokenizer.json" for name in ("tiny-qwen2", "tiny-llama", "tiny-qwen3")])
    args = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import tokenizers

    text = mixed_text(args.bytes)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        path, ids = os.path.join(folder, "text"), os.path.join(folder, "ids")
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        for tokenizer in args.tokenizer:
            ours = float(subprocess.run([args.bench_text, tokenizer, path, ids], check=True, capture_output=True, text=True).stdout)
            found = array.array("i", pathlib.Path(ids).read_bytes()).tolist()
            package = tokenizers.Tokenizer.from_file(str(tokenizer))
            seconds = []
            for _ in range(3):
                start = time.perf_counter()
                wanted = package.encode(text, add_special_tokens=False).ids
                seconds.append(time.perf_counter() - start)
            theirs = sorted(seconds)[1]
            differs = next((i for i, pair in enumerate(zip(wanted, found)) if pair[0] != pair[1]), None)
            if differs is None and len(wanted) != len(found):
                differs = min(len(wanted), len(found))
            failed = failed or differs is not None
            verdict = "ids are equal" if differs is None else f"ids differ from token {differs} on"
            print(f"{tokenizer}: {len(text.encode())} bytes, {len(wanted)} tokens, {verdict}; ours {ours:.3f} s, theirs {theirs:.3f} s, {theirs / ours:.2f} x their speed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
