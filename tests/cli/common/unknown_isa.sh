# An instruction set that there is not is a usage error, not ignored.
for tool in slim-quant slim-convert slim-verify slim-diff slim-run; do
  code=0
  SLIM_ISA=mmx $tool "$TESTDATA/models/tiny-llama" 2>/dev/null || code=$?
  echo "$code"
done
