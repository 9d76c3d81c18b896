# A rotated embedding is written in the dtype of --dtype, like everything else: both outputs compute the same.
M=$TESTDATA/golden/models/mini-qwen2-bfloat16
cat >quarot.yaml <<Y
apiversion: modelslim_v1
spec:
  process:
    - type: quarot
    - type: linear_quant
      qconfig:
        act: {scope: per_token, dtype: int8, symmetric: true, method: minmax}
        weight: {scope: per_channel, dtype: int8, symmetric: true, method: minmax}
      include: ["*"]
      exclude: []
Y
slim-quant $M -o as_is --recipe quarot.yaml -q
slim-quant $M -o half --recipe quarot.yaml --dtype fp16 -q
slim-diff as_is half --max-kl 0.01 --tokens 64 -q >/dev/null && echo "the same model"
