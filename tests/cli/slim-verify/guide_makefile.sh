# man/guides/verify.mk: a good checkpoint is verified once, until a file of it changes; a bad one stops make.
mkdir models
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static models/good
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16 models/bad
rm models/bad/config.json
touch -d '2 hours ago' models/*/*
printf 'include %s/man/guides/verify.mk\n%%.deployed: %%.verified\n\t@echo deploying $*\n' "$ROOT" >Makefile
make --no-print-directory models/good.deployed
touch -d '1 hour ago' models/good.verified
make --no-print-directory models/good.deployed
touch models/good/config.json
make --no-print-directory models/good.deployed
make --no-print-directory models/bad.deployed || echo "exit $?"
