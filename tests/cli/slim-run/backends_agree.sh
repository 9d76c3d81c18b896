for type in w8a8-static w8a8-dynamic w8a16; do
  for backend in fast reference; do
    slim-run $TESTDATA/golden/one-click/mini-qwen2-bfloat16/$type -p "In the beginning" -n 12 --json --backend $backend >$type.$backend
  done
  cmp $type.fast $type.reference
done
