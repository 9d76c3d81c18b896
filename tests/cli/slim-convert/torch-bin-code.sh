# These pickles run a command when Python loads them; it would make a file beside this message.
corpus=$ROOT/tests/fuzz/corpus/torch_file
rm -f /tmp/slim-was-executed
mkdir in
echo '{"model_type": "other"}' >in/config.json
for name in evil evil4 evil_legacy eval inst newobj script; do
  cp $corpus/$name in/pytorch_model.bin
  slim-convert in -o out --to hf || echo "exit $?"
done
if ls /tmp/slim-was-executed out 2>/dev/null; then echo something happened; fi
