# Logits are a binary file, which a terminal does not want.
slim-run $TESTDATA/models/tiny-llama -p x --logits - || echo "exit $?"
ls
