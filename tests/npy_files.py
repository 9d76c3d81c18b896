"""Files of numpy.save that hold a dict of arrays (facts: formats.md 5.6), without numpy: its classes are stood in for by name."""

import pickle
import struct
import sys
import types

CODES = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U8": "u1", "BOOL": "b1"}


class Named:
    """An instance that pickles as a call of `function` with `state`."""

    def __init__(self, function, arguments, state):
        self.parts = (function, arguments, state)

    def __reduce__(self):
        return self.parts


def stand_in(module, name):
    kind = type(name, (), {"__module__": module, "__qualname__": name})
    setattr(sys.modules.setdefault(module, types.ModuleType(module)), name, kind)
    return kind


NDARRAY, DTYPE = stand_in("numpy", "ndarray"), stand_in("numpy", "dtype")
RECONSTRUCT = stand_in("numpy.core.multiarray", "_reconstruct")


def dtype(code, order="<"):
    return Named(DTYPE, (code, False, True), (3, "|" if code in ("i1", "u1", "b1", "O8") else order, None, None, None, -1, -1, 0))


def array(code, shape, data, order="<", fortran=False):
    return Named(RECONSTRUCT, (NDARRAY, (0,), b"b"), (1, tuple(shape), dtype(code, order), fortran, data))


def write(path, content, **form):
    """`content`: names to checkpoint_files.Tensor; `form`: order and fortran of every array."""
    arrays = {name: array(CODES[held.dtype], held.shape, held.data, **form) for name, held in content.items()}
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        pickle.dump(array("O8", (), [arrays]), file, protocol=3)
