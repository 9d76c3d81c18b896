# 0xFFFF is a NaN in BF16. The first tensor of the file is lm_head, which only travels; the last ones are the norms and q, k, v, which are read.
original=$TESTDATA/golden/models/mini-qwen2-bfloat16
header=$(od -An -t u8 -N 8 $original/model.safetensors)
for place in $((header + 8)) $(($(stat -c %s $original/model.safetensors) - 100)) $((header + 120000)); do
  rm -rf in
  cp -r $original in
  printf '\377\377' | dd of=in/model.safetensors bs=1 seek=$place conv=notrunc status=none
  slim-quant in -o out --type w8a16 || echo "exit $?"
  slim-quant in -o out --calib $TESTDATA/golden/calib.jsonl || echo "exit $?"
done
test -z "$(find . -maxdepth 1 -name '*out*')"
