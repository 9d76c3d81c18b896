cp -r $TESTDATA/models/tiny-llama model
sed -i 's/"tie_word_embeddings": false/"tie_word_embeddings": false, "attention_bias": true/; s/"attention_bias": false,//; s/"num_hidden_layers": 2/"num_hidden_layers": 3/' model/config.json
slim-run model -p hello
