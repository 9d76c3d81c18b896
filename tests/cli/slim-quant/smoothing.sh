# Every pair, a searched strength, an int8 cache, histogram ranges: what is written, and that it verifies.
model=$TESTDATA/golden/models/mini-qwen3-float16
slim-quant $model -o out --calib $TESTDATA/golden/calib.jsonl --smooth flex --smooth-pairs norm-linear,ov,up-down \
  --activation-method histogram --kv-cache c8 --quantize-names '*down_proj'
slim-verify -q out
grep -c '"C8"' out/quant_model_description.json
slim-quant $model --dry-run --smooth iter --smooth-pairs norm-linear ov up-down --kv-cache c8 | grep -v layers
for arguments in "--smooth-pairs norm-linear,vo" "--smooth none --smooth-pairs ov" "--type w8a16 --aggregation mean" "--recipe x.yaml --kv-cache c8"; do
  slim-quant $model -o out2 $arguments || echo "exit $?"
done
