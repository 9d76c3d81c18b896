# A checkpoint with tokenizer.model alone gives what it gives with the tokenizer.json that says the same.
cp -r $TESTDATA/models/tiny-llama model
slim-run model -p "Question: What is the capital of Kenya? é 你好" -n 12 --json >json.txt
python3 - <<'END'
import json, struct
def varint(n):
    out = b""
    while n >= 128:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])
def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content
tokenizer = json.load(open("model/tokenizer.json"))
rank = {"".join(pair): i for i, pair in reversed(list(enumerate(tokenizer["model"]["merges"])))}
out = b""
for text, id in sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1]):
    kind = {0: 2, 1: 3, 2: 3}.get(id, 6 if text.startswith("<0x") else 1)
    score = -float(rank[text]) if text in rank else -1e6 - id
    out += field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + b"\x18" + bytes([kind]))
for token in tokenizer["added_tokens"][3:]:
    out += field(1, field(1, token["content"].encode()) + b"\x15" + struct.pack("<f", 0) + b"\x18\x03")
trainer = b"\x18\x02" + varint(35 << 3) + b"\x01"
open("bpe", "wb").write(out + field(2, trainer) + field(3, b"\x18\x01\x20\x00"))
open("word", "wb").write(out + field(2, b"\x18\x03") + field(3, b"\x18\x01\x20\x00"))
open("cut", "wb").write(out[:-3])
END
rm model/tokenizer.json
cp bpe model/tokenizer.model
slim-run model -p "Question: What is the capital of Kenya? é 你好" -n 12 --json >model.txt
cmp json.txt model.txt && echo same
for bad in word cut; do
  cp $bad model/tokenizer.model
  slim-run model -p x || echo exit $?
done
# A unigram model with the table of nmt_nfkc.
cp $TESTDATA/text/unigram/nfkc.model model/tokenizer.model
slim-run model -p "It was  the ｂest" -n 0 --logits wide.safetensors
slim-run model -p "It was the best " -n 0 --logits plain.safetensors
cmp wide.safetensors plain.safetensors && echo the same ids
