slim-run $TESTDATA/models/tiny-llama -p "In the beginning" -n 0 --logits prompt.safetensors
slim-verify --list prompt.safetensors
slim-run $TESTDATA/models/tiny-llama -p "In the beginning" -n 3 --logits more.safetensors >text
slim-verify --list more.safetensors | cut -f 1-3
