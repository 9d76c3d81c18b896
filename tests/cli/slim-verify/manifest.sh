# What a manifest vouches for, and every kind of difference by name.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
slim-verify --manifest write --sha256 model
slim-verify --manifest check model
slim-verify --manifest check --sha256 --quiet model
sed -i 's/"rms_norm_eps": 1e-06/"rms_norm_eps": 1e-05/' model/config.json
printf 'x' | dd of=model/quant_model_weights-00001-of-00001.safetensors bs=1 seek=100000 conv=notrunc status=none
rm model/tokenizer_config.json
touch model/notes.txt
slim-verify --manifest check model
