# The fewest layers in float that keep the model within a budget, by trying; and budgets that cannot be met.
model="$TESTDATA/models/tiny-llama"
calib="$TESTDATA/golden/calib.jsonl"
slim-quant "$model" -o out --calib "$calib" --type w4a8 --smooth none --weight-method ssz --auto-fallback --budget kl=0.12 --no-fsync
slim-verify -q out
grep -A3 '"fallback"' out/slim_receipt.json | tr -d ' \n'; echo
ls -A
slim-quant "$model" -o all --calib "$calib" --smooth iter --auto-fallback --budget kl=0.01 --no-fsync
for arguments in "--auto-fallback" "--auto-fallback --budget 0.1" "--auto-fallback --budget kl=0" "--budget kl=1" "--auto-fallback --budget kl=1 --dry-run"; do
  slim-quant "$model" -o out2 $arguments || echo "exit $?"
done
slim-quant "$model" -o out2 --calib "$calib" --type w4a8 --smooth none --weight-method ssz --auto-fallback --budget kl=0.0000001 \
  --disable-names '*layers.0*' '*mlp*' --no-fsync || echo "exit $?"
ls -A
