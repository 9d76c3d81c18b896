# Accuracy on multiple-choice questions of every form, CSV and chat; standard input; what is wrong with a line.
questions=$TESTDATA/choices/questions.jsonl
slim-run $TESTDATA/models/tiny-llama --choices $questions --backend reference --json
slim-run $TESTDATA/models/tiny-llama --choices - <$questions
slim-run $TESTDATA/models/tiny-llama --choices $TESTDATA/choices/ceval.csv --chat
echo '{"question": "x", "choices": ["a"], "answer": 0}' >one
echo '{"prompt": "x", "choices": ["a", "b"], "answer": "c"}' >none
echo '{"prompt": "x", "choices": ["a", "b"]}' >open
echo 'x' >text
: >empty
for file in one none open text empty; do
  slim-run $TESTDATA/models/tiny-llama --choices $file || echo exit $?
done
slim-run $TESTDATA/models/tiny-llama --choices $questions --ctx 20 || echo exit $?
slim-run $TESTDATA/models/tiny-llama --choices $questions --ctx 40 --truncate
