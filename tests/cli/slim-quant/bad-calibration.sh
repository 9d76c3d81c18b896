model=$TESTDATA/golden/models/mini-qwen2-bfloat16
: >empty.jsonl
printf '{"text": "fine"}\n{"text": "\377"}\n' >latin.jsonl
printf '{"text": "fine"}\n{"text": \n' >broken.jsonl
for file in empty.jsonl latin.jsonl broken.jsonl absent.jsonl; do
  slim-quant $model -o out --calib $file || echo "exit $?"
done
test ! -e out
# Samples all alike say no more than one: a warning.
python3 -c 'import json; print("\n".join([json.dumps({"text": "the same words again"})] * 3))' > alike.jsonl
slim-quant "$TESTDATA/models/tiny-llama" -o alike --calib alike.jsonl --no-fsync
# Longer than the context: cut, with a warning.
python3 -c 'import json; print(json.dumps({"text": "word " * 3000})); print(json.dumps({"text": "short"}))' > long.jsonl
slim-quant "$TESTDATA/models/tiny-llama" -o long --calib long.jsonl --no-fsync
