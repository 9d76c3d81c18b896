# Every type, verified by its own rules; the layouts that cannot carry one say which can.
model=$TESTDATA/golden/models/mini-qwen2-bfloat16
for type in w4a8 w4a16 w4a4 fp8 w8a8_mxfp8 w4a4_mxfp4; do
  for layout in ascendv1 mindie; do
    if slim-quant $model -o $type-$layout --type $type --layout $layout -q --no-fsync; then
      slim-verify --deep $type-$layout | tail -n 1
    else
      echo "exit $?"; test ! -e $type-$layout
    fi
  done
done
