# Loaders compute q/k/v and gate/up as one layer: a part of them that stays float is refused before any work, the whole is not.
model=$TESTDATA/models/tiny-qwen2
slim-quant $model -o out --type w8a16 --disable-names '*q_proj' || echo "exit $?"
slim-quant $model -o out --type w8a8_dynamic --disable-names 'model.layers.2.mlp.up_proj' || echo "exit $?"
cat >mixed.yaml <<YAML
apiversion: modelslim_v1
spec:
  process:
    - type: linear_quant
      qconfig: {weight: {scope: per_channel, dtype: int8, symmetric: true, method: minmax}}
      include: ["*k_proj"]
YAML
slim-quant $model -o out --recipe mixed.yaml || echo "exit $?"
test ! -e out
slim-quant $model -o out --type w8a16 --disable-names '*q_proj' '*k_proj' '*v_proj' --no-fsync
