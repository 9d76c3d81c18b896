# A disk that is full where stdout goes is exit 4, for every tool.
for tool in slim-quant slim-convert slim-verify slim-diff slim-run; do
  for flag in --help --version; do
    code=0
    $tool $flag >/dev/full || code=$?
    echo "$tool $flag $code"
  done
done
