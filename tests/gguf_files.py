"""GGUF files as tests take them apart and put them together, without any package (layout: facts, ecosystem.md 1.3 G)."""

import pathlib
import struct

ALIGNMENT = 32
FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
TEXT, LIST, U16, I32, F32 = 8, 9, 2, 5, 0


class Gguf:
    """Metadata as (key, its bytes), tensors as (name, dimensions, type, data)."""

    def __init__(self, path):
        self.data, self.at = pathlib.Path(path).read_bytes(), 8
        count, keys = self.number("<Q"), self.number("<Q")
        self.metadata = []
        for _ in range(keys):
            begin = self.at
            key = self.text()
            self.skip(self.number("<I"))
            self.metadata.append((key, self.data[begin:self.at]))
        infos = []
        for _ in range(count):
            name = self.text()
            dimensions = [self.number("<Q") for _ in range(self.number("<I"))]
            infos.append((name, dimensions, self.number("<I"), self.number("<Q")))
        start = -(-self.at // ALIGNMENT) * ALIGNMENT
        ends = sorted([offset for *_, offset in infos] + [len(self.data) - start])
        self.tensors = [(name, dimensions, kind, self.data[start + offset:start + ends[ends.index(offset) + 1]])
                        for name, dimensions, kind, offset in infos]

    def number(self, form):
        value, = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        size = self.number("<Q")
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def skip(self, kind):
        if kind == TEXT:
            self.text()
        elif kind == LIST:
            inner = self.number("<I")
            for _ in range(self.number("<Q")):
                self.skip(inner)
        else:
            self.at += FIXED[kind]


def text_bytes(text):
    return struct.pack("<Q", len(text)) + text.encode()


def number_entry(key, kind, value):
    return key, text_bytes(key) + struct.pack("<I", kind) + struct.pack({U16: "<H", I32: "<i"}[kind], value)


def write(path, metadata, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)) + b"".join(entry for _, entry in metadata)
    body = b""
    for name, dimensions, kind, data in tensors:
        head += text_bytes(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, len(body))
        body += data + bytes(-len(data) % ALIGNMENT)
    pathlib.Path(path).write_bytes(head + bytes(-len(head) % ALIGNMENT) + body)


def split(path, count):
    """As llama.cpp's gguf-split names and marks them; the file itself goes away."""
    whole = Gguf(path)
    stem = pathlib.Path(path).with_suffix("")
    for i in range(count):
        marks = [number_entry("split.no", U16, i), number_entry("split.count", U16, count),
                 number_entry("split.tensors.count", I32, len(whole.tensors))]
        write(f"{stem}-{i + 1:05d}-of-{count:05d}.gguf", (whole.metadata if i == 0 else []) + marks, whole.tensors[i::count])
    pathlib.Path(path).unlink()


def add_rotary_factors(path, factors):
    """rope_freqs.weight, as llama.cpp writes it for the rotary scaling of Llama 3."""
    whole = Gguf(path)
    write(path, whole.metadata, whole.tensors + [("rope_freqs.weight", [len(factors)], F32, struct.pack(f"<{len(factors)}f", *factors))])
