model=$TESTDATA/golden/models/mini-qwen2-bfloat16
: >empty.jsonl
printf '{"text": "fine"}\n{"text": "\377"}\n' >latin.jsonl
printf '{"text": "fine"}\n{"text": \n' >broken.jsonl
for file in empty.jsonl latin.jsonl broken.jsonl absent.jsonl; do
  slim-quant $model -o out --calib $file || echo "exit $?"
done
test ! -e out
