# Split files, Llama 3's rotary factors, and the models that GGUF does not take.
run() { PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/tests python3 -c "import gguf_files; gguf_files.$1"; }
model=$TESTDATA/models/tiny-llama
echo "# three files"
slim-convert $model -o g --to gguf -q --no-fsync
run "split('g/model.gguf', 3)"
ls g | grep gguf
slim-convert g -o back --to hf --part-size 1GB --no-fsync
cmp back/model.safetensors $model/model.safetensors && echo same
slim-convert g/model-00001-of-00003.gguf -o alone --to hf --part-size 1GB --no-fsync
cmp alone/model.safetensors $model/model.safetensors && echo same
rm g/model-00002-of-00003.gguf
slim-convert g -o out --to hf || echo "exit $?"
echo "# rotary factors that no rope_scaling gives: config.json beside the file tells what they are"
slim-convert $model -o rotary --to gguf -q --no-fsync
run "add_rotary_factors('rotary/model.gguf', [1.0, 1.5, 4.0, 8.0])"
slim-convert rotary -o unrotated --to hf --no-fsync -v
cmp unrotated/model.safetensors $model/model.safetensors && echo same
slim-convert rotary/model.gguf -o out --to hf || echo "exit $?"
echo "# the scaling of Llama 3"
cp -r $model scaled && chmod -R u+w scaled
sed -i 's/"rope_scaling": null/"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}/' scaled/config.json
slim-convert scaled -o llama3 --to gguf --no-fsync -v
slim-convert llama3/model.gguf -o unscaled --to hf --no-fsync
cmp unscaled/model.safetensors $model/model.safetensors && echo same
python3 -c "import json; print(json.load(open('unscaled/config.json'))['rope_scaling'])"
for folder in scaled llama3/model.gguf; do slim-run $folder --backend reference -p "The moon" -n 8; done
echo "# no form in GGUF"
sed -i 's/"low_freq_factor": 1.0, //' scaled/config.json
slim-convert scaled -o out --to gguf || echo "exit $?"
sed -i 's/"llama3"/"dynamic"/' scaled/config.json
slim-convert scaled -o out --to gguf || echo "exit $?"
slim-convert $TESTDATA/mixtures/qwen3-moe -o out --to gguf || echo "exit $?"
test ! -e out
