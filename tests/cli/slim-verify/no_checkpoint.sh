# Nothing there, or nothing that is a checkpoint.
mkdir empty
slim-verify empty || echo "exit $?"
slim-verify nowhere || echo "exit $?"
slim-verify /dev/null
