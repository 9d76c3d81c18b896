# A check without a manifest, and with what is none.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16 model
slim-verify --manifest check model || echo "exit $?"
slim-verify --manifest check --manifest-file model/config.json model || echo "exit $?"
slim-verify --manifest write model
slim-verify --manifest write model || echo "exit $?"
slim-verify --manifest write --force --json model
slim-verify --manifest write nowhere || echo "exit $?"
