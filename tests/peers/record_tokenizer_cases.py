#!/usr/bin/env python3
"""Records what the tokenizers and transformers packages do with small tokenizer files.

usage: record_tokenizer_cases.py OUTPUT   (testdata/text/tokenizer_cases.json)

The cases are here, the expectations come from the packages; tests/unit/text/tokenizer_cases_test.cc
holds slim against them. The file names the versions it was recorded with.
"""
import json
import os
import sys
import tempfile

import tokenizers
import transformers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
DEEPSEEK = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
            r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
MIXED = "It's 12345 we'LL  go,\n\n 你好e\u0301! x\t\u3000"


def model(**changes):
    base = {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}
    base.update(changes)
    return base


def tokenizer(**changes):
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
            "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
            "model": model()}
    base.update(changes)
    return base


def load(**changes):
    return tokenizers.Tokenizer.from_str(json.dumps(tokenizer(**changes)))


def added(content, **flags):
    token = {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": False}
    token.update(flags)
    return token


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def metaspace(scheme, cut=True):
    part = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut}
    if scheme == "never":
        part["add_prefix_space"] = False
    return part


def byte_level(prefix, regex):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True,
            "use_regex": regex}


def sequence(kind, *parts):
    return {"type": "Sequence", kind: list(parts)}


def pre_tokenizers():
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            yield split("-", behavior, invert, "String"), "-a--b-c-"
    for pattern in (GPT2, QWEN2, LLAMA3, DEEPSEEK):
        yield split(pattern), MIXED
    for pattern, text in (
            ("[一-龥\u3040-ゟ゠-ヿ]+", MIXED), (r"\p{N}{1,3}", "1234567 x89"),
            (r"\s", "a\u180eb\u00a0c\u0085d"), (r"\w+", "a²b_c\u0301 d-e"), (r"[\w]+", "a²b"),
            (r"\h+", "xyzabc12g"), (r"[[:punct:]]+", "a$b,c"), (r"\p{Punct}+", "a$b,c"),
            (r"[[:alpha:]]+", "a\u0300b1"), (r"[^[:alnum:]]", "क्षि1"), (r"(?m:a.b)", "a\nb"),
            (r"^b", "a\nb"), (r"a$", "a\nb"), (r"[\w&&[^a-m]]+", "hello world"),
            (r"[^a-z&&[^A-Z]]", "aB1"), (r"\u4e16", "a世b"), (r"\p{Han}+", "中、中"),
            (r"\p{^L}+", "a1b"), (r"\p{Letter}+", "1a2"), ("", "ab"), ("a*", "baab"),
            (r"(?<=l)l|o(?= )", "hello w"), (r"[^\S\n]+", "a \n b"), (r"[]a]", "]ab"),
            (r"(?i)k", "kK\u212a"), (r"\R", "a\r\nb")):
        yield split(pattern), text
    for prefix in (False, True):
        for regex in (False, True):
            yield byte_level(prefix, regex), "Hi  we'll 世\n"
    for scheme in ("always", "first", "never"):
        for cut in (True, False):
            for text in ("Hey  you", " Hey"):
                yield metaspace(scheme, cut), text
    for individual in (True, False):
        yield {"type": "Digits", "individual_digits": individual}, "a12½b"
    yield {"type": "Punctuation", "behavior": "Isolated"}, "Hi!? “x” $1"
    yield {"type": "Punctuation", "behavior": "Contiguous"}, "Hi!? x"
    yield {"type": "Punctuation", "behavior": "Isolated"}, "a\u2e43b"
    yield {"type": "Whitespace"}, "Hi there_x! 世界\u200d.\u0300"
    yield {"type": "WhitespaceSplit"}, " a\u3000b\tc"
    yield {"type": "CharDelimiterSplit", "delimiter": "-"}, "a-b--c"
    yield {"type": "BertPreTokenizer"}, "Hi, it's 世"
    yield {"type": "FixedLength", "length": 2}, "abc世界"
    yield sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("first")), "ab cd"
    yield sequence("pretokenizers", {"type": "Digits", "individual_digits": True},
                   {"type": "Punctuation"}), "a1.5"


def normalizers():
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield {"type": form}, "e\u0301 é ﬁ Å ㎏ ½ ﷺ 가 a\u0300\u0316"
    yield {"type": "Lowercase"}, "ÀÉ İ ẞ Σς ǅ"
    yield {"type": "StripAccents"}, "e\u0301a\u0316 é"
    for left, right, text in ((True, False, " \u3000x "), (False, True, " x\u3000\n"),
                              (True, True, "  ")):
        yield {"type": "Strip", "strip_left": left, "strip_right": right}, text
    for text in ("a", ""):
        yield {"type": "Prepend", "prepend": "▁"}, text
    for pattern, content, text in (({"String": " "}, "▁", " a  b"), ({"Regex": "\\s+"}, "", " a \nb"),
                                   ({"String": ""}, "X", "aé")):
        yield {"type": "Replace", "pattern": pattern, "content": content}, text
    yield {"type": "ByteLevel"}, "a é\n"
    yield sequence("normalizers", {"type": "NFD"}, {"type": "StripAccents"},
                   {"type": "Lowercase"}), "ÉÀ"


def decoders():
    fallback = {"type": "ByteFallback"}
    space = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    yield byte_level(True, True), ["Hi", "Ġä¸", "ĸ", "ç", "世"]
    yield fallback, ["a", "<0xE4>", "<0xB8>", "<0x96>", "b"]
    yield fallback, ["<0xE4>", "<0xB8>", "b"]
    yield fallback, ["<0xC3>", "<0xa9>", "<0xFF>"]
    yield fallback, ["<0xG0>", "<0x1>"]
    yield {"type": "Fuse"}, ["a", "b"]
    yield strip, ["  a ", " b"]
    yield {"type": "Strip", "content": "a", "start": 0, "stop": 2}, ["baaa", "a1"]
    yield space, ["▁a▁", "b"]
    yield {"type": "Replace", "pattern": {"Regex": "[ab]+"}, "content": "-"}, ["xabay"]
    yield metaspace("always"), ["▁a▁b", "▁c"]
    yield metaspace("never"), ["▁a", "▁c"]
    yield ({"type": "WordPiece", "prefix": "##", "cleanup": True},
           ["##x", "they", "##re", "'re", " .", "do not"])
    yield {"type": "WordPiece", "prefix": "##", "cleanup": False}, ["a", "##b", "."]
    yield {"type": "BPEDecoder", "suffix": "</w>"}, ["a</w>", "b", "c</w>"]
    yield ({"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True},
           ["<pad>", "h", "h", "<pad>", "h", "|", "i", "<pad>"])
    yield (sequence("decoders", space, fallback, {"type": "Fuse"}, strip),
           ["▁Hi", "▁", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "!"])


def added_tokens():
    lower = {"type": "Lowercase"}
    yield [added("<m>", lstrip=True)], None, "a  <m> b"
    yield [added("<m>", rstrip=True)], None, "a <m>\t b"
    yield [added("ab", single_word=True)], None, "ab cab ab_ ab"
    yield [added("ab"), added("abc"), added("b")], None, "xabcabb"
    yield [added("FOO", normalized=True)], lower, "foo FOO Foo"
    yield [added("FOO")], lower, "foo FOO Foo"
    yield [added("e", rstrip=True), added(" ")], None, "e  e"
    yield [added(" ", lstrip=True, rstrip=True)], None, "   "
    yield [added("foo", special=True), added("foo", normalized=True)], lower, "Foo foo"
    yield [added("b", special=True)], None, "abc"


def models():
    vocab = {"<unk>": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "bc": 5, "abc": 6}
    with_bytes = {**vocab, "<0xC3>": 7, "<0xA9>": 8}
    yield model(vocab=vocab, merges=["b c", "a b", "a bc"]), "abcab"
    yield model(vocab=vocab, merges=[["a", "b"], ["ab", "c"], ["b", "c"]]), "abcbc"
    yield model(vocab=vocab, ignore_merges=True), "abc"
    yield model(vocab=vocab), "axb"
    yield model(vocab=vocab, unk_token="<unk>"), "axyb"
    yield model(vocab=vocab, unk_token="<unk>", fuse_unk=True), "axyb"
    yield model(vocab=with_bytes, unk_token="<unk>", byte_fallback=True), "aéx"
    yield model(vocab=with_bytes, unk_token="<unk>", byte_fallback=True), "xéa"
    yield model(vocab={"a": 0, "##b": 1, "ab": 2, "##c": 3, "abc": 4}, merges=["a ##b", "ab ##c"],
                continuing_subword_prefix="##"), "abc"
    yield model(vocab={"a": 0, "b": 1, "b</w>": 2, "ab</w>": 3}, merges=["a b</w>"],
                end_of_word_suffix="</w>"), "ab"
    yield model(vocab={"a": 0, "aa": 1, "aaaa": 2}, merges=["a a", "aa aa"]), "aaaaaaa"
    yield model(vocab=vocab, merges=["#version: 0.2", "a b"]), "ab"


def configs():
    letters = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz <>?.'▁")}
    single = {"Sequence": {"id": "A", "type_id": 0}}
    start = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    template = {"type": "TemplateProcessing", "single": [start, single], "pair": [single, single],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [33], "tokens": ["<s>"]}}}
    plain = tokenizer(model=model(vocab=letters), decoder={"type": "Fuse"})
    full = dict(plain, added_tokens=[added("<s>", special=True), added("<m>", lstrip=True)],
                post_processor=template)
    around = dict(plain, post_processor={"type": "BertProcessing", "sep": ["b", 1], "cls": ["a", 0]})
    text = "a <m> b<s>c <x> ?"
    known = {"33": added("<s>", special=True), "34": added("<x>", special=True, rstrip=True)}
    for token in known.values():
        del token["id"]
    clean = {"clean_up_tokenization_spaces": True}
    anyway = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"
    for parts, config in (
            (full, {}), (full, {"bos_token": "<s>", "add_bos_token": False, "add_eos_token": True}),
            (full, {"mask_token": "<m>"}), (plain, {"eos_token": "<x>"}), (plain, {"eos_token": "c"}),
            (plain, {"bos_token": {"content": "<x>", "lstrip": True, "rstrip": False,
                                   "normalized": False, "single_word": False,
                                   "__type": "AddedToken"}}),
            (plain, {"added_tokens_decoder": known}), (around, {}),
            (plain, {"additional_special_tokens": ["<x>", "<m>"]}),
            (plain, {"extra_special_tokens": {"image_token": "<m>"}}), (full, clean),
            (full, {**clean, anyway: True}), (full, {"split_special_tokens": True})):
        yield parts, {"tokenizer_class": "PreTrainedTokenizerFast", **config}, text


def record_config(parts, config, text):
    with tempfile.TemporaryDirectory() as folder:
        for name, value in (("tokenizer.json", parts), ("tokenizer_config.json", config)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                json.dump(value, file)
        peer = transformers.AutoTokenizer.from_pretrained(folder)
        ids = peer.encode(text)
        return {"tokenizer": parts, "config": config, "text": text, "ids": ids,
                "ids_plain": peer.encode(text, add_special_tokens=False),
                "decoded": peer.decode(ids),
                "decoded_skip_special": peer.decode(ids, skip_special_tokens=True)}


def record_added(tokens, normalizer, text):
    letters = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz ABFO<>_é")}
    parts = tokenizer(model=model(vocab=letters), added_tokens=tokens, normalizer=normalizer)
    peer = tokenizers.Tokenizer.from_str(json.dumps(parts))
    ids = peer.encode(text).ids
    return {"tokenizer": parts, "text": text, "ids": ids,
            "tokens": [peer.id_to_token(i) for i in ids], "decoded_skip_special": peer.decode(ids)}


def main():
    cases = {
        "pre_tokenizer": [
            {"component": part, "text": text,
             "pieces": [p for p, _ in load(pre_tokenizer=part).pre_tokenizer.pre_tokenize_str(text)]}
            for part, text in pre_tokenizers()],
        "normalizer": [
            {"component": part, "text": text,
             "normalized": load(normalizer=part).normalizer.normalize_str(text)}
            for part, text in normalizers()],
        "decoder": [{"component": part, "tokens": tokens,
                     "text": load(decoder=part).decoder.decode(tokens)}
                    for part, tokens in decoders()],
        "added_tokens": [record_added(*case) for case in added_tokens()],
        "model": [{"model": part, "text": text, "ids": load(model=part).encode(text).ids}
                  for part, text in models()],
        "config": [record_config(*case) for case in configs()],
    }
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        versions = f"tokenizers {tokenizers.__version__}, transformers {transformers.__version__}"
        file.write('{"recorded_with": ' + json.dumps(versions))
        for key, rows in cases.items():
            file.write(',\n"' + key + '": [\n')
            file.write(",\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
            file.write("\n]")
        file.write("\n}\n")


if __name__ == "__main__":
    main()
