# Refused by tensor name and with what to do, and nothing is written.
bf16=$TESTDATA/golden/traditional/mini-qwen2-bfloat16
one=$TESTDATA/golden/one-click/mini-qwen2-bfloat16
try() {
  slim-convert "$@" -o out --no-fsync || echo "exit $?"
  test ! -e out
}
echo "# a cell that does not exist"
try $TESTDATA/golden/models/mini-qwen2-bfloat16 --to gptq
try $TESTDATA/foreign/golden-stick/mini-qwen3-a16w8 --to mindie
echo "# a directory that is no checkpoint"
mkdir nothing && touch nothing/notes.txt nothing/old.bin
try nothing --to ascendv1
echo "# an unknown dialect"
try $one/w8a16 --to ascend
echo "# two checkpoints in one directory"
cp -r $one/w8a8-dynamic two && chmod -R u+w two && cp $bf16/m0-w8a8/quant_model_description_w8a8.json $bf16/m0-w8a8/quant_model_weight_w8a8.safetensors two
try two --to mindie
static=$TESTDATA/golden/one-click/mini-qwen3-float16/w8a8-static-all
slim-convert $static -o npy --to npy -q --no-fsync
cp $static/*.safetensors npy
try npy --to ascendv1
cp -r $one/w8a8-dynamic float-too && chmod -R u+w float-too && cp $TESTDATA/golden/models/mini-qwen2-bfloat16/model.safetensors float-too
try float-too --to mindie
echo "# two descriptions"
cp -r $bf16/a0-w8a8 described-twice && chmod -R u+w described-twice && cp $bf16/m0-w8a8/quant_model_description_w8a8.json described-twice
try described-twice --to ascendv1
echo "# codes that nothing labels"
cp -r $one/w8a8-dynamic unlabelled && chmod -R u+w unlabelled && rm unlabelled/quant_model_description.json
try unlabelled --to mindie
try unlabelled --dequantize
echo "# a quantization method that slim does not know"
cp -r $one/w8a8-dynamic method && chmod -R u+w method && rm method/quant_model_description.json
sed -i 's/^{/{"quantization_config": {"quant_method": "bitsandbytes"},/' method/config.json
try method --to ascendv1
echo "# columns in the order of act-order, for which ascendv1 has no permutation"
cat > act-order.py <<'P'
import os, pathlib, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests")
import foreign_checkpoints
source = pathlib.Path(os.environ["TESTDATA"], "golden/models/mini-qwen2-bfloat16")
foreign_checkpoints.gptq("gptq", act_order=True)(source, pathlib.Path("act-order"))
P
PYTHONDONTWRITEBYTECODE=1 python3 act-order.py
try act-order --to ascendv1
echo "# a type that the target has no tensors for"
try $one/w8a16 --to compressed-tensors
echo "# weight offsets where the target ignores them"
try $bf16/a0-w8a16-asym --to golden-stick
echo "# scales that underflow in fp16"
cp -r $one/w8a8-dynamic tiny && chmod -R u+w tiny
cat > tiny.py <<'P'
import struct, json
path = "tiny/quant_model_weights-00001-of-00001.safetensors"
data = bytearray(open(path, "rb").read())
size = struct.unpack("<Q", data[:8])[0]
at = 8 + size + json.loads(data[8:8 + size])["model.layers.0.mlp.up_proj.weight_scale"]["data_offsets"][0]
data[at:at + 4] = struct.pack("<f", 1e-12)
open(path, "wb").write(data)
P
python3 tiny.py
try tiny --to ascendv1 --dtype fp16 --allow-loss
try tiny --dequantize --dtype fp16
try tiny --to gptq --allow-loss
