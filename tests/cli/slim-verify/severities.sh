# slim-verify.yaml of the working directory, or the one that --config names.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
rm model/tokenizer.json
slim-verify model
printf 'severities:\n  SIDE: error\n  SIDE-no-special-tokens-map: off\n' >slim-verify.yaml
slim-verify model || echo "exit $?"
printf 'severities:\n  SIDE: off\n' >other.yaml
slim-verify --config other.yaml model
for text in 'severities: 1' 'severities: {SIDE-x: off}' 'severities: {SIDE: fatal}' 'rules: {}' '[1'; do
  echo "$text" >other.yaml
  slim-verify --config other.yaml model || echo "exit $?"
done
