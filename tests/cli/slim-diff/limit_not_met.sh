float=$TESTDATA/golden/models/mini-qwen2-bfloat16
quantized=$TESTDATA/golden/one-click/mini-qwen2-bfloat16
small="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 2"
slim-diff "$float" "$quantized/w8a8-static" $small --metrics kl --max-kl 0.001 --min-top1 0.1
