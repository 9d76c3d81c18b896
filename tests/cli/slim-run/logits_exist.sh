echo keep >logits.safetensors
slim-run $TESTDATA/models/tiny-llama -p "In the beginning" -n 0 --logits logits.safetensors && exit 99 || code=$?
cat logits.safetensors
slim-run $TESTDATA/models/tiny-llama -p "In the beginning" -n 0 --logits logits.safetensors --force
test "$(stat -c %s logits.safetensors)" -gt 49000
exit $code
