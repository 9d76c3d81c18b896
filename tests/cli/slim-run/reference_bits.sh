# The same bytes for any number of threads and any instruction set.
for model in models/tiny-llama golden/one-click/mini-qwen2-bfloat16/w8a8-dynamic golden/one-click/mini-qwen2-bfloat16/w8a16 golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m4; do
  for isa in scalar avx2 avx512; do
    for threads in 1 2 8; do
      if ! SLIM_ISA=$isa slim-run --version >/dev/null 2>&1; then continue; fi
      SLIM_ISA=$isa slim-run $TESTDATA/$model -p "In the beginning was" -n 4 --backend reference --threads $threads --logits logits --force >text
      cat text logits | md5sum
    done
  done | sort -u | wc -l
done
