# Data goes to stdout, talk to stderr: a pipe sees the plan only.
slim-quant $TESTDATA/models/tiny-llama --dry-run --type w8a16 | grep -c W8A16
slim-quant $TESTDATA/models/tiny-llama --dry-run --type w8a16 >/dev/full || echo "exit $?"
