# Tensor-parallel parts run as they are: compressed weights unpacked, ranks joined.
python3 "$ROOT/tests/sparse_checkpoint.py" in
slim-convert in -o parts --to mindie-parts --dtype fp16 --tp 2 --allow-loss -q
slim-convert parts -o whole --to ascendv1-v0 -q
for model in parts whole; do
  cp $TESTDATA/golden/models/mini-qwen2-bfloat16/tokenizer* $model/
  slim-run $model -p "It was the best of times" -n 8 --json --backend reference >$model.txt
done
cmp parts.txt whole.txt && cat parts.txt
head -c 1500 $TESTDATA/golden/held-out-text.txt >prompts.txt
slim-diff whole parts --tokens 64 --prompts prompts.txt | grep -E '^(first|second|KL)' || true
rm -r parts/part0-of-2
slim-run parts -p x || echo "exit $?"
