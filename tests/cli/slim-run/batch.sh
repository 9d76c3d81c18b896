slim-run $TESTDATA/models/tiny-llama - -n 6 <<END
{"prompt": "In the beginning", "id": 7}

{"messages": [{"role": "user", "content": "What is the capital of Peru?"}]}
{"prompt": "And the LORD said unto Moses,"}
END
