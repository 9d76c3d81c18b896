corpus=$ROOT/tests/fuzz/corpus/torch_file
mkdir in
echo '{"model_type": "other"}' >in/config.json
for name in cut no_end compressed missing_storage short_storage huge expanded list big wrong_name; do
  cp $corpus/$name in/pytorch_model.bin
  slim-convert in -o out --to hf || echo "exit $?"
done
rm in/pytorch_model.bin
echo '{"metadata": {}, "weight_map": {"a": "pytorch_model-00001-of-00002.bin"}}' >in/pytorch_model.bin.index.json
slim-convert in -o out --to hf || echo "exit $?"
echo '{"metadata": {}, "weight_map": {"a": "../pytorch_model.bin"}}' >in/pytorch_model.bin.index.json
slim-convert in -o out --to hf || echo "exit $?"
ls
