# The sparse type is fp16: bfloat16 is refused with the reason, --dtype casts.
model=$TESTDATA/golden/models/mini-qwen2-bfloat16
slim-quant $model -o out --type w8a8s --calib $TESTDATA/golden/calib.jsonl || echo "exit $?"
test ! -e out
slim-quant $model -o out --type w8a8s --dtype fp16 --calib $TESTDATA/golden/calib.jsonl -q --no-fsync
slim-verify --deep out | tail -n 1
grep torch_dtype out/config.json
