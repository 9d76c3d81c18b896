float=$TESTDATA/golden/models/mini-qwen2-bfloat16
small="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 2"
slim-diff "$float" "$float" $small --metrics rmse > /dev/full
