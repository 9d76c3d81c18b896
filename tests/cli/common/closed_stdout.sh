# A closed stdout is exit 4, for every tool.
for tool in slim-quant slim-convert slim-verify slim-diff slim-run; do
  for flag in --help --version; do
    code=0
    $tool $flag >&- || code=$?
    echo "$tool $flag $code"
  done
done
