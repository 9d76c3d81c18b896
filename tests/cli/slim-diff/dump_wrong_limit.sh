mkdir a
printf 'dtype=0\ndims=1\n$End=1\nabcd' > a/y.bin
slim-diff a a --max-kl 1 || echo exit $?
slim-diff a a --format junit || echo exit $?
slim-diff a a --prompts x
