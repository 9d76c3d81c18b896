# A checkpoint with scales for its KV cache computes with int8 keys and values; the scales are of one channel each.
slim-quant $TESTDATA/models/tiny-qwen3 -o c8 --type w8a16 --kv-cache c8 -q --calib $TESTDATA/golden/calib.jsonl
for cache in auto c8 fp32 bf16; do
  slim-run c8 -p "It was the best of times" -n 0 --logits $cache.safetensors --backend reference --kv-cache $cache
done
cmp auto.safetensors c8.safetensors && echo same
cmp -s auto.safetensors fp32.safetensors || echo differs
cmp -s bf16.safetensors fp32.safetensors || echo differs
slim-run $TESTDATA/models/tiny-qwen3 -p x --kv-cache c8 || echo exit $?
