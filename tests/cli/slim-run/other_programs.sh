# What other programs quantize is converted first; the error says how, and it works.
golden=$TESTDATA/golden
slim-convert $golden/one-click/mini-qwen2-bfloat16/w8a8-dynamic -o compressed --to compressed-tensors -q --allow-loss
cp $golden/models/mini-qwen2-float32/tokenizer* compressed/
slim-run compressed -p "It was the best of times" || echo exit $?
slim-convert compressed -o own --to ascendv1 -q
slim-run own -p "It was the best of times" -n 8 --json --backend reference
