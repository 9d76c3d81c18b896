# An FP8 source gives the bytes of the BF16 source with the same numbers, whatever reads it.
cp -r $TESTDATA/mixtures/deepseek-v3 model
cp $TESTDATA/golden/models/mini-qwen2-float32/tokenizer* model/
python3 $TESTDATA/mixtures/fp8_twin.py model fp8 bf16
for type in w8a8 w8a16; do
  for source in fp8 bf16; do
    slim-quant $source -o $source-$type --type $type --calib $TESTDATA/golden/calib.jsonl -q || echo "exit $?"
  done
  cmp fp8-$type/quant_model_weights-00001-of-00001.safetensors bf16-$type/quant_model_weights-00001-of-00001.safetensors && echo "$type: same bytes"
done
grep quantization_config fp8-w8a8/config.json || echo 'no quantization_config'
slim-run fp8 -p 'It was' -n 4 --json -q >fp8.txt
slim-run bf16 -p 'It was' -n 4 --json -q >bf16.txt
cmp fp8.txt bf16.txt && echo "same answer"
slim-diff bf16 fp8 --prompts $TESTDATA/golden/calib.jsonl -q | grep 'KL div' | cut -c1-40
# Scales that are no blocks of the weights.
sed -i 's/24,/12,/' fp8/config.json
slim-quant fp8 -o out || echo "exit $?"
sed -i 's/12,/0,/' fp8/config.json
slim-quant fp8 -o out || echo "exit $?"
sed -i '/"weight_block_size"/,/],/d' fp8/config.json
slim-quant fp8 -o out || echo "exit $?"
