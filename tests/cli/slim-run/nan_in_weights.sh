# A NaN is told with the first block that computes one.
cp -r $TESTDATA/models/tiny-llama model
python3 - <<'END'
import json, struct
with open("model/model.safetensors", "r+b") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    header = json.loads(file.read(size))
    file.seek(8 + size + header["model.layers.1.mlp.down_proj.weight"]["data_offsets"][0])
    file.write(b"\x00\x7e")
END
slim-run model -p hello
