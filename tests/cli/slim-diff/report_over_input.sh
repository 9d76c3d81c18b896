float=$TESTDATA/golden/models/mini-qwen2-bfloat16
small="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 2"
cp -r "$float" copy
slim-diff copy "$float" $small -o copy/model.safetensors --force
