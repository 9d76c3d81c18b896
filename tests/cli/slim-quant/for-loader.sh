# What a loader would not take is refused before the text is read or a weight is written; what is written, it takes.
M=$TESTDATA/golden/models/mini-qwen2-bfloat16
C=$TESTDATA/golden/calib.jsonl
for case in "vllm-ascend w8a8_dynamic" "sglang w8a8_dynamic" "mindie w8a8_dynamic"; do
  set -- $case
  slim-quant $M -o out --type $2 --for $1 --calib $C -q || echo "$case: exit $?"
  slim-verify out --for $1 || echo "$case: exit $?"
  rm -rf out
done
for case in "vllm-ascend w4a8" "vllm-ascend@0.9 w4a8" "mindie w8a16" "vllm-mindspore w8a8_dynamic" "sglang w8a16" "vllm w8a8" "vllm-ascend@7 w8a8"; do
  set -- $case
  slim-quant $M -o out --type $2 --for $1 --calib $C || echo "exit $?"
done
slim-quant $M -o out --type w8a16 --shard 1/2 --for mindie || echo "exit $?"
test ! -e out -a ! -e .out.slim-partial
