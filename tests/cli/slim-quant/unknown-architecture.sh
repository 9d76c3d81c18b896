# Types without static activations take the linears of any checkpoint by their names.
cp -r $TESTDATA/golden/models/mini-qwen2-bfloat16 in
sed -i 's/"qwen2"/"mamba"/' in/config.json
slim-quant in -o w8a16 --type w8a16
slim-quant in -o dynamic --type w8a8_dynamic --disable-names '*.down_proj' '*.missing'
slim-quant in -o out --type w8a8 || echo "exit $?"
slim-quant $TESTDATA/golden/models/mini-qwen2-bfloat16 -o known --type w8a16 -q
for name in w8a16 dynamic known; do
  grep -c '"W8A16"\|"W8A8_DYNAMIC"' $name/quant_model_description.json
done
slim-verify w8a16 || echo "exit $?"
