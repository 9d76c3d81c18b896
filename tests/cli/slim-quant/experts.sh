# Every architecture with experts, latent attention or a second tower through every kind of type.
for model in qwen2-moe qwen3-moe deepseek-v2 deepseek-v3 qwen2.5-vl; do
  cp -r $TESTDATA/mixtures/$model $model
  cp $TESTDATA/golden/models/mini-qwen2-float32/tokenizer* $model/
  head -n 3 $TESTDATA/golden/calib.jsonl >calib.jsonl
  for type in w8a8 w8a8_dynamic w8a16; do
    slim-quant $model -o $model-$type --type $type --calib calib.jsonl -q
    slim-verify $model-$type --deep
    slim-run $model-$type -p 'It was' -n 2 --json -q >/dev/null
  done
  slim-convert $model-w8a8 -o mindie --to mindie -q --force
  slim-convert mindie -o back --to ascendv1 -q --force
  cmp back/quant_model_weights-00001-of-00001.safetensors $model-w8a8/quant_model_weights-00001-of-00001.safetensors
done
grep -c 'mlp.gate.weight": "FLOAT"' qwen3-moe-w8a8/quant_model_description.json
# Too little text for every expert: a guess with a warning.
echo 'It' >little.txt
slim-quant qwen3-moe -o little --calib little.txt 2>&1 | head -n 2
# With --strict an error, unless the type needs no range; nothing is left behind.
slim-quant qwen3-moe -o strict --calib little.txt --strict || echo "exit $?"
ls -A | grep -c strict || true
slim-quant qwen3-moe -o strict --calib little.txt --strict --type w8a8_dynamic -q
# Numbers that do not belong together.
sed 's/"num_local_experts": 8/"num_local_experts": 7/' qwen3-moe/config.json >config.json
cp qwen3-moe/config.json kept.json; cp config.json qwen3-moe/config.json
slim-quant qwen3-moe -o out || echo "exit $?"
slim-run qwen3-moe -p 'It' -n 1 || echo "exit $?"
sed 's/"num_local_experts": 8/"num_local_experts": 9/' kept.json >qwen3-moe/config.json
slim-quant qwen3-moe -o out || echo "exit $?"
slim-run qwen3-moe -p 'It' -n 1 || echo "exit $?"
sed -i 's/"n_group": 4/"n_group": 3/' deepseek-v3/config.json
slim-quant deepseek-v3 -o out || echo "exit $?"
