slim-run $TESTDATA/models/tiny-llama -p "Question: \"What's deep learning?\"
Answer:" -n 24 --expect " Deep learning is a subset"
