# The second answer must be the one that a run with the whole conversation gives.
printf 'What is the capital of Peru?\nAnd of Chile?\n' | slim-run $TESTDATA/models/tiny-qwen3 --chat -n 6 --json --backend reference >conversation
first=$(sed -n '1s/{"text": \("[^"]*"\),.*/\1/p' conversation)
printf '{"messages": [{"role": "user", "content": "What is the capital of Peru?"}, {"role": "assistant", "content": %s}, {"role": "user", "content": "And of Chile?"}]}\n' "$first" |
  slim-run $TESTDATA/models/tiny-qwen3 - -n 6 --backend reference >whole
sed -n 2p conversation | cmp - whole
wc -l <conversation
