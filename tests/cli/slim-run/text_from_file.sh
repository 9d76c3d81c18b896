# One newline at the end is not part of the prompt; a text that begins with a brace is a text.
echo "In the beginning" >prompt.txt
slim-run $TESTDATA/models/tiny-llama -f prompt.txt -n 5
slim-run $TESTDATA/models/tiny-llama - -n 5 <prompt.txt
echo '{ this is no JSON' | slim-run $TESTDATA/models/tiny-llama -f - -n 1 --json
