# A NaN in a norm: headers do not show it, --deep does.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
size=$(stat -c %s model/quant_model_weights-00001-of-00001.safetensors)
# The I8 codes end the file; the last BF16 tensor, model.norm.weight, stands before them.
codes=$(slim-verify --list model | awk -F '\t' '$2 == "I8" { sum += $4 } END { print sum }')
printf '\300\177' | dd of=model/quant_model_weights-00001-of-00001.safetensors bs=1 seek=$((size - codes - 128 + 6)) conv=notrunc status=none
slim-verify model
slim-verify --deep model
