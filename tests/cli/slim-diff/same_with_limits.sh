quantized=$TESTDATA/golden/one-click/mini-qwen2-bfloat16
small="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 2"
slim-diff "$quantized/w8a8-static" "$quantized/w8a8-static" $small \
  --max-kl 0 --min-cosine 1 --min-top1 1 --max-ppl-ratio 1 --metrics kl
