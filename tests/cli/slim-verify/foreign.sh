# Another ecosystem's checkpoint: sound, for a loader that does not read it, and with a scale that was cut.
model=$TESTDATA/foreign/golden-stick/mini-qwen3-a16w8
slim-verify --deep $model
slim-verify --for vllm-mindspore,mindie $model || echo "exit $?"
cp -r $model broken
sed -i 's/"model.layers.0.self_attn.q_proj.weight": "W8A16"/"model.layers.0.self_attn.q_proj.weight": "W9A9"/' broken/quantization_description.json
slim-verify broken || echo "exit $?"
slim-verify --list $model | head -n 3
