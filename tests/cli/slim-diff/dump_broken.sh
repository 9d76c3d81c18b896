mkdir -p a b
printf '\223NUMPY\1\0\377\377{' > a/x.npy
cp a/x.npy b/x.npy
slim-diff a b || echo exit $?
rm a/x.npy b/x.npy
printf '$Version=1.0\ndtype=0\ndims=1000000,1000000,1000000,1000000\n$End=1\nabcd' > a/y.bin
cp a/y.bin b/y.bin
slim-diff a b || echo exit $?
