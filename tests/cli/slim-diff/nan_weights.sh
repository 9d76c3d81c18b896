float=$TESTDATA/golden/models/mini-qwen2-bfloat16
small="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 2"
cp -r "$float" bad
chmod -R u+w bad
# The last value of the last tensor becomes a bfloat16 NaN.
size=$(wc -c < bad/model.safetensors)
printf '\300\177' | dd of=bad/model.safetensors bs=1 seek=$((size - 2)) conv=notrunc 2> dd.log
slim-diff "$float" bad $small --max-kl 1e9
