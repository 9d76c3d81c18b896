# A reader that leaves ends the writer without a word.
for tool in slim-quant slim-convert slim-verify slim-diff slim-run; do
  $tool --help | true
done
