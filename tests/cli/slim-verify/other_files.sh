# Files of torch and numpy are judged by their own headers and never unpickled; what no loader opens is its finding.
corpus=$ROOT/tests/fuzz/corpus/torch_file
mkdir torch
echo '{"model_type": "other", "torch_dtype": "float32"}' >torch/config.json
cp $corpus/views torch/pytorch_model.bin
slim-verify --deep torch torch/pytorch_model.bin
slim-verify --for vllm-ascend,mindie torch || echo "exit $?"
slim-verify --list torch/pytorch_model.bin | head -n 3
rm -f /tmp/slim-was-executed
for name in evil script cut missing_storage; do
  cp $corpus/$name torch/pytorch_model.bin
  slim-verify torch | grep -A1 ^error
done
[ ! -e /tmp/slim-was-executed ]
slim-quant $TESTDATA/models/tiny-llama -o a1 --type w8a8_dynamic --smooth none -q
slim-convert a1 -o npy --to npy -q
slim-verify --deep npy
slim-verify --quiet --for mindie-atb npy || echo "exit $?"
cp npy/config.json config.json
sed -i 's/"quantize": "w8a8_dynamic"/"quantize": "other"/' npy/config.json
slim-verify npy | tail -n 4
cp config.json npy/config.json
head -c 2000 npy/quant_weight.npy >cut && mv cut npy/quant_weight.npy
slim-verify npy | grep -A1 ^error
