slim-verify --list $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static | grep -e lm_head -e layers.0.self_attn.q_proj
