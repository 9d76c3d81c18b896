float=$TESTDATA/golden/models/mini-qwen2-bfloat16
quantized=$TESTDATA/golden/one-click/mini-qwen2-bfloat16
for threads in 1 3; do
  head -c 2000 "$TESTDATA/golden/held-out-text.txt" |
    slim-diff "$float" "$quantized/w8a8-dynamic" --prompts - --tokens 64 --threads $threads -o $threads.txt
done
cmp 1.txt 3.txt
grep prompts 1.txt
