# The plan as JSON: every tensor is listed.
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8 --to mindie --dtype bf16 --plan --json >plan.json
grep -c '"action"' plan.json
head -12 plan.json
grep -A 11 '"name": "model.layers.0.self_attn.q_proj.deq_scale"' plan.json
