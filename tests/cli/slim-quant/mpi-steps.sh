# Searched smoothing (flex, awq) over two passes, gptq, rotation with a cache, smoothed keys, histograms, sparse weights, experts:
# four ranks give the bytes of one.
command -v mpirun >/dev/null || { echo "the same bytes"; exit 0; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
# What OpenMPI itself never frees is not ours to report.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
M=$TESTDATA/golden/models/mini-qwen2-bfloat16
cat >recipe.yaml <<'EOF'
apiversion: modelslim_v1
spec:
  process:
    - {type: quarot}
    - {type: iter_smooth, alpha: 0.5}
    - type: linear_quant
      qconfig: {act: {scope: per_token, dtype: int8, symmetric: True, method: minmax}, weight: {scope: per_channel, dtype: int8, symmetric: True, method: minmax}}
    - {type: dynamic_cache, qconfig: {scope: per_channel, dtype: int8, symmetric: True, method: minmax}}
EOF
cat >keys.yaml <<'EOF'
apiversion: modelslim_v1
spec:
  process:
    - {type: kv_smooth}
    - type: linear_quant
      qconfig: {act: {scope: per_tensor, dtype: int8, symmetric: False, method: histogram}, weight: {scope: per_channel, dtype: int8, symmetric: True, method: minmax}}
    - {type: dynamic_cache, qconfig: {scope: per_channel, dtype: int8, symmetric: True, method: minmax}}
EOF
cat >awq.yaml <<'EOF'
apiversion: modelslim_v1
spec:
  process:
    - type: flex_awq_ssz
      qconfig: &int8 {act: {scope: per_tensor, dtype: int8, symmetric: False, method: minmax}, weight: {scope: per_channel, dtype: int8, symmetric: True, method: ssz}}
    - {type: linear_quant, qconfig: *int8}
EOF
cp -r $TESTDATA/mixtures/qwen3-moe moe
cp $M/tokenizer* moe/
for case in "$M --smooth flex --propagate quantized" "$M --type w4a8 --weight-method gptq" "$M --recipe recipe.yaml" "$M --recipe keys.yaml" "$M --recipe awq.yaml" \
  "$M --type w8a8s --dtype fp16" "moe --type w8a8_mix"; do
  for run in "" "mpirun --oversubscribe -n 4"; do
    $run slim-quant $case -o "out$run" --calib $TESTDATA/golden/calib.jsonl --threads 1 2>log || { echo "exit $?"; cat log; }
  done
  diff -r out "outmpirun --oversubscribe -n 4"
  rm -rf out*
done && echo "the same bytes"
