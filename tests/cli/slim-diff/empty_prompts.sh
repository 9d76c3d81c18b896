float=$TESTDATA/golden/models/mini-qwen2-bfloat16
: > empty.txt
slim-diff "$float" "$float" --prompts empty.txt
