# Reading every value finds nothing either; --threads does not matter.
cd $TESTDATA/golden/one-click
slim-verify --deep --threads 2 mini-qwen3-float16/w8a8-static mini-qwen2-float32/w8a8-smooth-static
