slim-convert $TESTDATA/models/tiny-llama -o g --to gguf
slim-convert g/model.gguf -o back --to hf
cmp $TESTDATA/models/tiny-llama/model.safetensors back/model.safetensors && echo the same weights
cmp $TESTDATA/models/tiny-llama/tokenizer.json back/tokenizer.json && echo the same tokenizer
slim-convert g/model.gguf --to hf --plan | tail -n 20
