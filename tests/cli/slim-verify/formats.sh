# JUnit and GitHub annotations of a bad checkpoint, a name with special characters and a path that is none.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static 'a <b>&"c",d:e%'
rm a*/config.json a*/tokenizer.json
slim-verify --format github a* nowhere || echo "exit $?"
slim-verify --format junit --rules CF-missing,SIDE,IX-leftover a* nowhere | grep -v '"/>$' || echo "exit $?"
slim-verify --json --format sarif model || echo "exit $?"
slim-verify --format xml model || echo "exit $?"
slim-verify --list-rules --format sarif || echo "exit $?"
slim-verify --manifest write --baseline x a* || echo "exit $?"
