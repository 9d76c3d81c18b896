# Lists that sha256sum wrote.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16 model
(cd model && sha256sum ./*) >SHA256SUMS
slim-verify --manifest check --manifest-file SHA256SUMS model
cp SHA256SUMS model
cp model/*.safetensors model/more.safetensors
printf '{}' >model/config.json
slim-verify --manifest check --manifest-file model/SHA256SUMS model
