slim-convert $TESTDATA/golden/one-click/mini-qwen2-float32/w8a8-smooth-dynamic -o g --to gguf || echo "exit $?"
slim-convert $TESTDATA/golden/one-click/mini-qwen2-float32/w8a8-smooth-dynamic -o g --to gguf --allow-loss
slim-convert g/model.gguf -o hf --to hf || echo "exit $?"
slim-convert g/model.gguf -o hf --dequantize -q
slim-convert g/model.gguf -o a1 --to ascendv1
slim-convert a1 -o again --to gguf -q
cmp g/model.gguf again/model.gguf && echo the same file
ls
