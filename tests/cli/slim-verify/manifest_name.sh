# A file whose name is no UTF-8: a manifest could not hold it, a list of sha256sum does.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16 model
printf x >"model/$(printf 'notes\223.txt')"
slim-verify --manifest write model || echo "exit $?"
ls model | grep manifest || echo "no manifest"
(cd model && sha256sum *) >list.txt
slim-verify --manifest check --manifest-file list.txt model
