# Two saved files of logits are compared as the two models are.
float=$TESTDATA/golden/models/mini-qwen2-bfloat16
quantized=$TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static
head -c 90 $TESTDATA/golden/held-out-text.txt > text
for side in float quantized; do
  eval "model=\$$side"
  slim-run "$model" -f text -n 0 --logits $side.safetensors --backend reference -q > /dev/null
done
slim-diff float.safetensors quantized.safetensors --metrics kl,ppl --min-top1 0.99 || echo exit $?
printf other > text
slim-run "$float" -f text -n 0 --logits other.safetensors -q > /dev/null
slim-diff float.safetensors other.safetensors
