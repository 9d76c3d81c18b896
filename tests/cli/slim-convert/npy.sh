# A checkpoint without biases beside weights goes into numpy's files and back as it was.
slim-quant $TESTDATA/models/tiny-llama -o a1 --type w8a8_dynamic --smooth none -q
slim-convert a1 -o n --to npy
ls n
slim-convert n -o back --to ascendv1
for file in quant_model_weights-00001-of-00001.safetensors quant_model_description.json config.json; do
  cmp a1/$file back/$file && echo "$file: the same"
done
slim-convert n -o float --dequantize -q
# Without the type in config.json two types look alike.
sed -i 's/"quantize": "w8a8_dynamic"/"quantize": "other"/' n/config.json
slim-convert n -o out --to ascendv1 || echo "exit $?"
slim-convert $TESTDATA/golden/one-click/mini-qwen2-float32/w8a8-static -o out --to npy || echo "exit $?"
# Files that are not what they should be.
head -c 2000 n/quant_weight.npy >cut && mv cut n/quant_weight.npy
slim-convert n -o out --to ascendv1 || echo "exit $?"
cp $ROOT/tests/fuzz/corpus/torch_file/evil n/quant_weight.npy
slim-convert n -o out --to ascendv1 || echo "exit $?"
(printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '|O', 'fortran_order': False, 'shape': (), }"; printf '\200\004cos\nsystem\n(X\004\000\000\000true\205R.') >n/quant_weight.npy
slim-convert n -o out --to ascendv1 || echo "exit $?"
