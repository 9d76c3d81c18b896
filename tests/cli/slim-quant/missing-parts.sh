# Whatever is missing is named, and nothing is left behind.
for part in config.json tokenizer.json model.safetensors; do
  rm -rf in
  cp -r $TESTDATA/golden/models/mini-qwen2-bfloat16 in
  rm in/$part
  slim-quant in -o out || echo "exit $?"
done
slim-quant nowhere -o out || echo "exit $?"
test -z "$(find . -maxdepth 1 -name '*out*')"
