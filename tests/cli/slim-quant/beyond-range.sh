# Finite in the source, infinite in what would be written: 0x47C3 is 99840 in BF16, more than FP16 holds; smoothing multiplies columns of 60000.
original=$TESTDATA/golden/models/mini-qwen2-bfloat16
header=$(od -An -t u8 -N 8 $original/model.safetensors)
for place in $((header + 8)) $(($(stat -c %s $original/model.safetensors) - 100)) $((header + 120000)); do
  rm -rf in
  cp -r $original in
  printf '\303\107' | dd of=in/model.safetensors bs=1 seek=$place conv=notrunc status=none
  slim-quant in -o out --type w8a16 --dtype fp16 --disable-names '*gate_proj' || echo "exit $?"
  slim-quant in -o out --calib $TESTDATA/golden/calib.jsonl --dtype fp16 --disable-names '*gate_proj' || echo "exit $?"
done
rm -rf in
cp -r $TESTDATA/models/tiny-llama in
chmod -R u+w in
python3 -c "
import json, struct
data = bytearray(open('in/model.safetensors', 'rb').read())
size, = struct.unpack('<Q', data[:8])
begin, end = json.loads(data[8:8 + size])['model.layers.1.mlp.up_proj.weight']['data_offsets']
data[8 + size + begin:8 + size + end] = struct.pack('<e', 60000) * ((end - begin) // 2)
open('in/model.safetensors', 'wb').write(data)"
slim-quant in -o out --calib $TESTDATA/golden/calib.jsonl --compute model || echo "exit $?"
test -z "$(find . -maxdepth 1 -name '*out*')"
slim-quant in -o out --calib $TESTDATA/golden/calib.jsonl --no-fsync
