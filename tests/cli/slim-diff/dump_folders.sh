# Folders of msit's layout, of different devices: numbers by its definitions, its columns.
python3 -c '
import os, struct
def save(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "wb").write(data)
def npy(values):
    head = "{\x27descr\x27: \x27<f4\x27, \x27fortran_order\x27: False, \x27shape\x27: (%d,), }" % len(values)
    head = head.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack("<%df" % len(values), *values)
def atb(values):
    return b"$Version=1.0\n$Object.Count=1\ndtype=0\ndims=1,%d\n$End=1\n" % len(values) + struct.pack("<%df" % len(values), *values)
layer = "root.model.layers.0.mlp.up_proj"
for folder, last in (("a/msit_dump/torch_tensors/npu0_17", 4), ("b/cpu_0", 5)):
    save(f"{folder}/0/{layer}/output.npy", npy([1, -2, 0, last]))
    save(f"{folder}/1/{layer}/output.bin", atb([1, 2, 3, 4]))
    save(f"{folder}/1/{layer}/input_0.npy", npy([1] * last))
    save(f"{folder}/2/{layer}/output.bin", atb([1, float("nan") if last == 5 else 0]))
save("a/msit_dump/torch_tensors/npu0_17/3/x.npy", npy([1]))
'
slim-diff a b --format csv
slim-diff a b --min-cosine 0.9 || echo exit $?
