slim-run $TESTDATA/models/tiny-qwen2 -p "Question: \"What's deep learning?\"
Answer:" -n 40 --special
