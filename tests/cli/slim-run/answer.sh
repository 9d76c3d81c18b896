# What transformers generates for this prompt: testdata/golden/run/tiny-llama/generations.json.
slim-run $TESTDATA/models/tiny-llama -p "Question: \"What's deep learning?\"
Answer:" -n 24
