# One line on stderr that names the nearest flag; exit 2.
for tool in slim-quant slim-convert slim-verify slim-diff slim-run; do
  code=0
  $tool --quite || code=$?
  echo "$code"
done
