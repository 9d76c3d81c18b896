corpus=$ROOT/tests/fuzz/corpus/torch_file
mkdir in
echo '{"model_type": "other", "torch_dtype": "float32"}' >in/config.json
cp $corpus/views in/pytorch_model.bin
slim-convert in -o out --to hf
slim-convert in --to ascendv1 --plan
slim-convert in -o out --to mindie || echo "exit $?"
