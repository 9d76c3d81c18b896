# Both go to stdout and exit 0, whatever else is on the line after them.
for tool in slim-quant slim-convert slim-verify slim-diff slim-run; do
  $tool --help --bogus | head -n 1 | cut -d ' ' -f 1,2
  $tool --version
done
