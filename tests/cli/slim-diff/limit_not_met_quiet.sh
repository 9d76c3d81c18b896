# The exit code is the answer; the report is in its file.
float=$TESTDATA/golden/models/mini-qwen2-bfloat16
quantized=$TESTDATA/golden/one-click/mini-qwen2-bfloat16
small="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 2"
slim-diff "$float" "$quantized/w8a8-static" $small --metrics kl --max-kl 0.001 --quiet -o report.txt && exit 9
[ $? = 1 ]
grep -c 'not met' report.txt
