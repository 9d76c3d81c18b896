# Every path is judged; the worst exit code stays.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
rm model/config.json
slim-verify $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16 nowhere model
