# What rounding activations to bf16 costs by itself: both checkpoints are the same, so nothing; the figures of one are others than in fp32.
float=$TESTDATA/golden/models/mini-qwen2-bfloat16
small="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 2 --metrics kl,ppl --backend reference"
slim-diff "$float" "$float" $small --compute model --layers | grep -E "KL|perplexity|lm_head"
slim-diff "$float" "$float" $small --json >fp32.json
slim-diff "$float" "$float" $small --compute model --json >model.json
cmp -s fp32.json model.json && echo "nothing was rounded"
slim-diff "$float" "$float" $small --compute half || echo exit $?
