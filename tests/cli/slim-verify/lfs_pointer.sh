# A git-lfs pointer where weights were expected.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' > model/quant_model_weights-00001-of-00001.safetensors
slim-verify model
