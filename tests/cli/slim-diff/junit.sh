float=$TESTDATA/golden/models/mini-qwen2-bfloat16
quantized=$TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static
slim-diff "$float" "$quantized" --prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 1 --backend reference \
  --max-kl 0 --min-top5 0.5 --format junit -q
