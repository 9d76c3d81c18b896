"""Mutants of a small safetensors file, the same ones every time, and what the reference (the safetensors package) said to each: recorded
in tests/corpus/mutants.hex, a bit a mutant from the highest of the first digit on, 1 for accepted. tests/peers/safetensors_test.py holds the record
against the package, tests/robustness_test.py slim-verify against the record."""

import json
import pathlib
import random
import struct

ANSWERS = pathlib.Path(__file__).resolve().parent / "corpus" / "mutants.hex"
COUNT = 20_000


def sample():
    header = {"__metadata__": {"format": "pt"}, "deq_scale": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
              "model.layers.0.weight_scale": {"dtype": "F32", "shape": [2, 1], "data_offsets": [8, 16]},
              "é": {"dtype": "F16", "shape": [0, 4], "data_offsets": [16, 16]},
              "model.layers.0.weight": {"dtype": "I8", "shape": [2, 3], "data_offsets": [16, 22]}}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(range(22))


def mutate(original, choose):
    """A few bytes of the header or the end changed, cut, doubled or replaced by what parsers trip over."""
    data = bytearray(original)
    header_end = 8 + int.from_bytes(data[:8], "little")
    for _ in range(choose.randint(1, 3)):
        place = choose.randrange(0, min(header_end + 4, len(data)))
        kind = choose.randrange(6)
        if kind == 0:
            data[place] ^= 1 << choose.randrange(8)
        elif kind == 1:
            data[place] = choose.choice(b'{}[]",:0123456789-+.eEtfn\\ \0\xff')
        elif kind == 2:
            del data[place:place + choose.randint(1, 4)]
        elif kind == 3:
            data[place:place] = choose.choice([b"0", b" ", b'"x":1,', b"null", b"\\u0000", b"1e0", b"18446744073709551616"])
        elif kind == 4:
            data[place:place] = data[place:place + choose.randint(1, 30)]
        else:
            data = data[:len(data) - choose.randint(1, 5)]
        if choose.random() < 0.7:  # keep the length right, so that the parser and not the length is tried
            data[:8] = max(header_end - 8 + len(data) - len(original), 0).to_bytes(8, "little")
    return bytes(data)


def mutants():
    choose = random.Random(20240607)
    original = sample()
    for _ in range(COUNT):
        yield mutate(original, choose)


def answers():
    """True for each mutant that the reference accepts."""
    digits = "".join(ANSWERS.read_text().split())
    bits = int(digits, 16)
    return [bool(bits >> (COUNT - 1 - number) & 1) for number in range(COUNT)]


def record(accepted):
    digits = f"{int(''.join('01'[each] for each in accepted), 2):0{COUNT // 4}x}"
    ANSWERS.write_text("".join(f"{digits[start:start + 100]}\n" for start in range(0, len(digits), 100)))
