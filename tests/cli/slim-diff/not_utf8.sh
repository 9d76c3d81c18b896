float=$TESTDATA/golden/models/mini-qwen2-bfloat16
printf 'one\ntw\344o\n' > latin.txt
slim-diff "$float" "$float" --prompts latin.txt
