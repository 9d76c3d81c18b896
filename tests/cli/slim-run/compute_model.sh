# Inputs of float weights rounded to their dtype: another sum of logits, the same answer; the reference backend has the same bits
# for any number of threads then, too.
model=$TESTDATA/models/tiny-qwen2
slim-run $model -p "In the beginning" -n 6 --compute model
for threads in 1 2; do
  slim-run $model -p "In the beginning" -n 0 --compute model --backend reference --threads $threads --logits $threads.safetensors
done
cmp 1.safetensors 2.safetensors
slim-run $model -p "In the beginning" -n 0 --compute fp32 --backend reference --logits fp32.safetensors
cmp -s 1.safetensors fp32.safetensors && echo "nothing was rounded"
slim-run $model -p x --compute bf16 || echo exit $?
