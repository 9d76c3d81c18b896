for arguments in "" "$TESTDATA/models/tiny-llama" "-o out" "$TESTDATA/models/tiny-llama -o out --type w2a2" "$TESTDATA/models/tiny-llama -o out --alpha 2" \
  "$TESTDATA/models/tiny-llama -o out --ouptut x" "$TESTDATA/models/tiny-llama -o out --type w8a16 --smooth iter" "$TESTDATA/models/tiny-llama -o out --smooth none --alpha 0.5" \
  "$TESTDATA/models/tiny-llama -o out --type w8a16 --disable-names *proj" "$TESTDATA/models/tiny-llama -o out --type w8a16 --max-memory 1MB"; do
  slim-quant $arguments || echo "exit $?"
done
test ! -e out
