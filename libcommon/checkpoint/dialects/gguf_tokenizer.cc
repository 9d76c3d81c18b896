#include "checkpoint/dialects/gguf_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"

namespace slim {
namespace {

constexpr std::string_view kWholeFile = "tokenizer.huggingface.json";
constexpr uint64_t kMostTokens = 1 << 22;

enum TokenType : int64_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

// tokenizer.ggml.pre by the regular expression that splits the text.
struct PreTokenizer {
  std::string_view name;
  std::string_view regex;
  bool normalizes;   // NFC before
  bool whole_words;  // a word that is a token is not merged together (ignore_merges)
};
constexpr PreTokenizer kPreTokenizers[] = {
    {"qwen2",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     true, false},
    {"llama-bpe",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     false, true},
};

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(out, text, false);
  return out;
}

// What tokenizer.json is put together from.
struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<int64_t> types;
  std::vector<std::string> merges;  // "left right"
  std::vector<double> scores;
};

const GgufValue* FindTokens(const GgufHeader& header, std::string_view key) {
  return header.Find(fmt::format("tokenizer.ggml.{}", key));
}

// Empty, with the reason in `why`, where tokens and types are not of one kind.
std::optional<Vocabulary> ReadVocabulary(const GgufHeader& header, std::string& why) {
  Vocabulary vocabulary;
  const GgufValue* tokens = FindTokens(header, "tokens");
  if (tokens == nullptr || tokens->strings.empty()) {
    why = "the metadata has no tokens";
    return std::nullopt;
  }
  vocabulary.tokens = tokens->strings;
  if (!std::ranges::all_of(vocabulary.tokens, [](const auto& text) { return IsUtf8(text); })) {
    why = "tokens are no UTF-8";
    return std::nullopt;
  }
  const GgufValue* types = FindTokens(header, "token_type");
  vocabulary.types.assign(vocabulary.tokens.size(), kNormal);
  if (types != nullptr && types->integers.size() == vocabulary.tokens.size())
    vocabulary.types = types->integers;
  std::unordered_set<std::string_view> known;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    if (vocabulary.types[i] == kUnused || known.insert(vocabulary.tokens[i]).second) continue;
    why = fmt::format("token {} is there twice", Quote(vocabulary.tokens[i]));
    return std::nullopt;
  }
  const GgufValue* merges = FindTokens(header, "merges");
  if (merges != nullptr) vocabulary.merges = merges->strings;
  if (!std::ranges::all_of(vocabulary.merges, [](const auto& text) { return IsUtf8(text); })) {
    why = "merges are no UTF-8";
    return std::nullopt;
  }
  const GgufValue* scores = FindTokens(header, "scores");
  if (scores != nullptr) vocabulary.scores = scores->reals;
  return vocabulary;
}

// SentencePiece keeps a score a token and no merges: every split of a token into two tokens is one,
// the best score first.
std::vector<std::string> MergesByScores(const Vocabulary& vocabulary) {
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) ids.emplace(vocabulary.tokens[i], i);
  std::vector<size_t> order;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    if (vocabulary.types[i] == kNormal) order.push_back(i);
  }
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [&](size_t i) { return vocabulary.scores[i]; });
  std::vector<std::string> merges;
  for (const size_t i : order) {
    const std::string_view token = vocabulary.tokens[i];
    std::vector<std::pair<size_t, size_t>> splits;
    for (size_t at = 1; at < std::min<size_t>(token.size(), 256); ++at) {
      const auto left = ids.find(token.substr(0, at));
      const auto right = ids.find(token.substr(at));
      if (left != ids.end() && right != ids.end()) splits.emplace_back(left->second, right->second);
    }
    std::ranges::sort(splits);
    for (const auto& [left, right] : splits)
      merges.push_back(vocabulary.tokens[left] + " " + vocabulary.tokens[right]);
  }
  return merges;
}

std::string AddedTokensText(const Vocabulary& vocabulary) {
  std::string out = "[";
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const int64_t type = vocabulary.types[i];
    if (type != kControl && type != kUserDefined && type != kUnknown) continue;
    out += fmt::format(
        R"({}{{"id": {}, "content": {}, "single_word": false, "lstrip": false, "rstrip": false, )"
        R"("normalized": false, "special": {}}})",
        out.size() > 1 ? ", " : "", i, Quoted(vocabulary.tokens[i]),
        type == kUserDefined ? "false" : "true");
  }
  return out + "]";
}

// Control and user-defined tokens stand among the added ones only, as fast tokenizers have it for
// byte-level BPE; SentencePiece's are in the vocabulary, too.
std::string ModelText(const Vocabulary& vocabulary, bool sentencepiece, bool whole_words) {
  std::string unknown = "null";
  std::string out = "{";
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const int64_t type = vocabulary.types[i];
    if (type == kUnknown) unknown = Quoted(vocabulary.tokens[i]);
    const bool added = type == kControl || type == kUserDefined;
    if (type == kUnused || (added && !sentencepiece)) continue;
    out += fmt::format("{}{}: {}", out.size() > 1 ? ", " : "", Quoted(vocabulary.tokens[i]), i);
  }
  const std::string vocab = out + "}";
  out = "[";
  for (const std::string& merge : vocabulary.merges) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos) continue;
    out += fmt::format("{}[{}, {}]", out.size() > 1 ? ", " : "", Quoted(merge.substr(0, space)),
                       Quoted(merge.substr(space + 1)));
  }
  return fmt::format(R"({{"type": "BPE", "dropout": null, "unk_token": {}, )"
                     R"("continuing_subword_prefix": null, "end_of_word_suffix": null, )"
                     R"("fuse_unk": {}, "byte_fallback": {}, "ignore_merges": {}, "vocab": {}, )"
                     R"("merges": {}]}})",
                     unknown, sentencepiece, sentencepiece, whole_words, vocab, out);
}

std::string TokenizerText(const std::string& added, std::string_view normalizer,
                          std::string_view pre_tokenizer, std::string_view post_processor,
                          std::string_view decoder, const std::string& model) {
  return fmt::format(
      "{{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n"
      "  \"added_tokens\": {},\n  \"normalizer\": {},\n  \"pre_tokenizer\": {},\n"
      "  \"post_processor\": {},\n  \"decoder\": {},\n  \"model\": {}\n}}\n",
      added, normalizer, pre_tokenizer, post_processor, decoder, model);
}

std::string ByteLevelText(const Vocabulary& vocabulary, const PreTokenizer& pre) {
  const std::string byte_level =
      R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false})";
  const std::string splitter = fmt::format(
      R"({{"type": "Sequence", "pretokenizers": [{{"type": "Split", "pattern": {{"Regex": {}}}, )"
      R"("behavior": "Isolated", "invert": false}}, {}]}})",
      Quoted(pre.regex), byte_level);
  return TokenizerText(AddedTokensText(vocabulary), pre.normalizes ? R"({"type": "NFC"})" : "null",
                       splitter, byte_level, byte_level,
                       ModelText(vocabulary, false, pre.whole_words));
}

std::string SentencePieceText(const GgufHeader& header, Vocabulary& vocabulary) {
  const auto flag = [&](std::string_view key, bool fallback) {
    const GgufValue* value = FindTokens(header, key);
    return value == nullptr ? fallback : value->AsFlag().value_or(fallback);
  };
  if (vocabulary.merges.empty()) vocabulary.merges = MergesByScores(vocabulary);
  const bool space = flag("add_space_prefix", true);
  const std::string normalizer =
      fmt::format(R"({{"type": "Sequence", "normalizers": [{}{{"type": "Replace", "pattern": )"
                  R"({{"String": " "}}, "content": "▁"}}]}})",
                  space ? R"({"type": "Prepend", "prepend": "▁"}, )" : "");
  const std::string decoder = fmt::format(
      R"({{"type": "Sequence", "decoders": [{{"type": "Replace", "pattern": {{"String": "▁"}}, )"
      R"("content": " "}}, {{"type": "ByteFallback"}}, {{"type": "Fuse"}}{}]}})",
      space ? R"(, {"type": "Strip", "content": " ", "start": 1, "stop": 0})" : "");
  std::string processor = "null";
  const GgufValue* bos = FindTokens(header, "bos_token_id");
  const int64_t id = bos == nullptr ? -1 : bos->AsInteger().value_or(-1);
  if (flag("add_bos_token", true) && id >= 0 && id < std::ssize(vocabulary.tokens)) {
    const std::string name = Quoted(vocabulary.tokens[static_cast<size_t>(id)]);
    processor = fmt::format(
        R"({{"type": "TemplateProcessing", "single": [{{"SpecialToken": {{"id": {0}, "type_id": 0}}}}, )"
        R"({{"Sequence": {{"id": "A", "type_id": 0}}}}], "pair": [{{"SpecialToken": {{"id": {0}, )"
        R"("type_id": 0}}}}, {{"Sequence": {{"id": "A", "type_id": 0}}}}, {{"SpecialToken": {{"id": )"
        R"({0}, "type_id": 0}}}}, {{"Sequence": {{"id": "B", "type_id": 0}}}}], "special_tokens": )"
        R"({{{0}: {{"id": {0}, "ids": [{1}], "tokens": [{0}]}}}}}})",
        name, id);
  }
  return TokenizerText(AddedTokensText(vocabulary), normalizer, "null", processor, decoder,
                       ModelText(vocabulary, true, false));
}

// Empty, with the reason in `why`.
std::string RebuildTokenizer(const GgufHeader& header, std::string& why) {
  std::optional<Vocabulary> vocabulary = ReadVocabulary(header, why);
  if (!vocabulary) return "";
  const GgufValue* model = FindTokens(header, "model");
  const std::string name = model == nullptr || !model->AsText() ? "" : *model->AsText();
  if (name == "gpt2") {
    const GgufValue* pre = FindTokens(header, "pre");
    const std::string wanted = pre == nullptr || !pre->AsText() ? "default" : *pre->AsText();
    const auto* known = std::ranges::find(kPreTokenizers, wanted, &PreTokenizer::name);
    if (known != std::end(kPreTokenizers)) return ByteLevelText(*vocabulary, *known);
    why = fmt::format("its pre-tokenizer {} is none that slim knows (qwen2, llama-bpe)",
                      Quote(wanted));
    return "";
  }
  if (name == "llama" &&
      (!vocabulary->merges.empty() || vocabulary->scores.size() == vocabulary->tokens.size()))
    return SentencePieceText(header, *vocabulary);
  why = fmt::format("its model is {}, gpt2 and llama are rebuilt", Quote(name));
  return "";
}

std::string RebuildTokenizerConfig(const GgufHeader& header) {
  Json config = Json::Object();
  const GgufValue* tokens = FindTokens(header, "tokens");
  const auto token = [&](std::string_view key, std::string_view name) {
    const GgufValue* id = FindTokens(header, key);
    const int64_t value = id == nullptr ? -1 : id->AsInteger().value_or(-1);
    if (tokens == nullptr || value < 0 || value >= std::ssize(tokens->strings)) return;
    const std::string& text = tokens->strings[static_cast<size_t>(value)];
    if (IsUtf8(text)) config.Set(name, text);
  };
  token("bos_token_id", "bos_token");
  token("eos_token_id", "eos_token");
  token("unknown_token_id", "unk_token");
  token("padding_token_id", "pad_token");
  config.Set("clean_up_tokenization_spaces", false);
  config.Set("tokenizer_class", "PreTrainedTokenizerFast");
  const GgufValue* chat = header.Find("tokenizer.chat_template");
  if (chat != nullptr && chat->AsText() != nullptr && IsUtf8(*chat->AsText()))
    config.Set("chat_template", *chat->AsText());
  return DumpJson(config, {.indent = 2, .ensure_ascii = false}) + "\n";
}

// ---------------------------------------------------------------------------------------------

const Json* Member(const Json* object, std::string_view key) {
  const Json* value = object != nullptr && object->is_object() ? object->Find(key) : nullptr;
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string TextOf(const Json* value) {
  return value == nullptr ? "" : std::string(value->AsString().value_or(""));
}

bool Place(std::vector<std::string>& tokens, std::vector<int64_t>& types, const Json& id,
           const std::string& text, int64_t type) {
  const int64_t at = id.AsInteger().value_or(-1);
  if (at < 0 || at >= static_cast<int64_t>(kMostTokens)) return false;
  const auto index = static_cast<size_t>(at);
  for (size_t i = tokens.size(); i <= index; ++i) {
    tokens.push_back(fmt::format("[PAD{}]", i));
    types.push_back(kUnused);
  }
  tokens[index] = text;
  types[index] = type;
  return true;
}

bool IsByteToken(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with(">");
}

// Vocabulary of tokenizer.json by id; false where an id is none.
bool CollectTokens(const Json& tokenizer, uint64_t vocab_size, Vocabulary& vocabulary) {
  const Json* model = Member(&tokenizer, "model");
  const std::string unknown = TextOf(Member(model, "unk_token"));
  const bool bytes = Member(model, "byte_fallback") != nullptr &&
                     Member(model, "byte_fallback")->AsBool().value_or(false);
  const Json* vocab = Member(model, "vocab");
  if (vocab == nullptr || !vocab->is_object()) return false;
  for (const auto& [text, id] : vocab->members()) {
    const int64_t type = text == unknown ? kUnknown : bytes && IsByteToken(text) ? kByte : kNormal;
    if (!Place(vocabulary.tokens, vocabulary.types, id, text, type)) return false;
  }
  const Json* added = Member(&tokenizer, "added_tokens");
  for (const Json& token : added == nullptr ? std::vector<Json>() : added->items()) {
    const Json* id = Member(&token, "id");
    const std::string text = TextOf(Member(&token, "content"));
    const bool special =
        Member(&token, "special") != nullptr && Member(&token, "special")->AsBool().value_or(false);
    const int64_t type = text == unknown ? kUnknown : special ? kControl : kUserDefined;
    if (id == nullptr || !Place(vocabulary.tokens, vocabulary.types, *id, text, type)) return false;
  }
  // A model may have more rows than its tokenizer has tokens.
  if (vocab_size > vocabulary.tokens.size() && vocab_size < kMostTokens)
    Place(vocabulary.tokens, vocabulary.types, Json(vocab_size - 1),
          fmt::format("[PAD{}]", vocab_size - 1), kUnused);
  const Json* merges = Member(model, "merges");
  for (const Json& merge : merges == nullptr ? std::vector<Json>() : merges->items()) {
    const bool pair = merge.is_array() && merge.items().size() == 2;
    vocabulary.merges.push_back(pair ? TextOf(&merge.items()[0]) + " " + TextOf(&merge.items()[1])
                                     : TextOf(&merge));
  }
  return true;
}

// The order in which llama.cpp joins pieces is that of their scores.
void ScoreByMerges(Vocabulary& vocabulary) {
  std::unordered_map<std::string, double> ranks;
  for (size_t i = 0; i < vocabulary.merges.size(); ++i) {
    std::string token = vocabulary.merges[i];
    const size_t space = token.find(' ', 1);
    if (space == std::string::npos) continue;
    token.erase(space, 1);
    ranks.emplace(std::move(token), -1.0 - static_cast<double>(i));
  }
  for (const std::string& token : vocabulary.tokens) {
    const auto rank = ranks.find(token);
    vocabulary.scores.push_back(rank == ranks.end() ? -1e6 : rank->second);
  }
}

std::string SplitRegex(const Json* pre_tokenizer) {
  const Json* list = Member(pre_tokenizer, "pretokenizers");
  for (const Json& part : list == nullptr ? std::vector<Json>() : list->items()) {
    const std::string regex = TextOf(Member(Member(&part, "pattern"), "Regex"));
    if (!regex.empty()) return regex;
  }
  return "";
}

bool Mentions(const Json* part, std::string_view type, std::string_view list) {
  if (TextOf(Member(part, "type")) == type) return true;
  const Json* parts = Member(part, list);
  return parts != nullptr && std::ranges::any_of(parts->items(), [&](const Json& item) {
           return TextOf(Member(&item, "type")) == type;
         });
}

class TokenizerWriter {
 public:
  TokenizerWriter(const TokenizerSource& source, std::vector<std::string>& notes)
      : source_(source), notes_(notes) {}

  GgufMetadata Run();

 private:
  void Add(std::string_view key, GgufValue value) {
    metadata_.emplace_back(fmt::format("tokenizer.ggml.{}", key), std::move(value));
  }
  void AddModel(const Json& tokenizer);
  void AddIds(const Json& tokenizer);
  void AddTemplate();

  const TokenizerSource& source_;
  std::vector<std::string>& notes_;
  Vocabulary vocabulary_;
  Json settings_ = Json::Object();
  GgufMetadata metadata_;
};

void TokenizerWriter::AddModel(const Json& tokenizer) {
  const Json* pre = Member(&tokenizer, "pre_tokenizer");
  if (Mentions(pre, "ByteLevel", "pretokenizers")) {
    const std::string regex = SplitRegex(pre);
    const auto* known = std::ranges::find(kPreTokenizers, regex, &PreTokenizer::regex);
    Add("model", GgufValue::Text("gpt2"));
    if (known == std::end(kPreTokenizers)) {
      notes_.emplace_back(
          "the pre-tokenizer's regular expression is none that llama.cpp has a name for: written "
          "as "
          "'default', tokens may differ there");
    }
    Add("pre",
        GgufValue::Text(known == std::end(kPreTokenizers) ? "default" : std::string(known->name)));
  } else {
    ScoreByMerges(vocabulary_);
    Add("model", GgufValue::Text("llama"));
    Add("pre", GgufValue::Text("default"));
    Add("scores", GgufValue::F32s(vocabulary_.scores));
    Add("add_space_prefix",
        GgufValue::Flag(Mentions(Member(&tokenizer, "normalizer"), "Prepend", "normalizers")));
    notes_.emplace_back(
        "scores of the tokens are made from the order of the merges: tokenizer.json has none");
  }
  Add("tokens", GgufValue::Texts(vocabulary_.tokens));
  Add("token_type", GgufValue::I32s(vocabulary_.types));
  Add("merges", GgufValue::Texts(vocabulary_.merges));
}

void TokenizerWriter::AddIds(const Json& tokenizer) {
  const auto id = [&](std::string_view key, std::string_view hf, std::string_view token) {
    const Json* value = Member(source_.config, hf);
    if (value != nullptr && value->is_array() && !value->items().empty())
      value = &value->items()[0];
    int64_t found = value == nullptr ? -1 : value->AsInteger().value_or(-1);
    const Json* named = Member(&settings_, token);
    const std::string text =
        named != nullptr && named->is_object() ? TextOf(Member(named, "content")) : TextOf(named);
    const auto at = std::ranges::find(vocabulary_.tokens, text);
    if (!text.empty() && at != vocabulary_.tokens.end()) found = at - vocabulary_.tokens.begin();
    if (found >= 0) Add(key, GgufValue::U32(static_cast<uint64_t>(found)));
  };
  id("bos_token_id", "bos_token_id", "bos_token");
  id("eos_token_id", "eos_token_id", "eos_token");
  id("unknown_token_id", "unk_token_id", "unk_token");
  id("padding_token_id", "pad_token_id", "pad_token");
  const Json* processor = Member(&tokenizer, "post_processor");
  Add("add_bos_token", GgufValue::Flag(Mentions(processor, "TemplateProcessing", "processors")));
}

void TokenizerWriter::AddTemplate() {
  std::string chat = source_.chat_template;
  if (chat.empty()) chat = TextOf(Member(&settings_, "chat_template"));
  if (!chat.empty()) metadata_.emplace_back("tokenizer.chat_template", GgufValue::Text(chat));
}

GgufMetadata TokenizerWriter::Run() {
  if (source_.tokenizer_json.empty()) {
    notes_.emplace_back(
        "there is no tokenizer.json: the file has no tokenizer, llama.cpp needs one");
    return {};
  }
  const auto tokenizer = ParseJson(source_.tokenizer_json);
  const auto settings = ParseJson(source_.tokenizer_config);
  if (settings.ok() && settings->is_object()) settings_ = *settings;
  const Json* rows = Member(source_.config, "vocab_size");
  const auto vocab_size = static_cast<uint64_t>(
      std::max<int64_t>(rows == nullptr ? 0 : rows->AsInteger().value_or(0), 0));
  const bool bpe = tokenizer.ok() && TextOf(Member(Member(&*tokenizer, "model"), "type")) == "BPE";
  if (!bpe || !CollectTokens(*tokenizer, vocab_size, vocabulary_)) {
    notes_.emplace_back(
        "tokenizer.json is no BPE tokenizer that has a form in GGUF metadata: the file carries it "
        "whole, llama.cpp reads none");
  } else {
    AddModel(*tokenizer);
    AddIds(*tokenizer);
  }
  AddTemplate();
  metadata_.emplace_back(kWholeFile, GgufValue::Text(source_.tokenizer_json));
  return std::move(metadata_);
}

}  // namespace

std::vector<MadeFile> TokenizerOfGguf(const GgufHeader& header, std::vector<std::string>& notes) {
  std::vector<MadeFile> files;
  const GgufValue* whole = header.Find(kWholeFile);
  std::string why;
  std::string text;
  if (whole != nullptr && whole->AsText() != nullptr && ParseJson(*whole->AsText()).ok()) {
    text = *whole->AsText();
    notes.emplace_back("tokenizer.json is the one that the file carries");
  } else {
    text = RebuildTokenizer(header, why);
    if (!text.empty())
      notes.emplace_back("tokenizer.json is rebuilt from the file's tokens and merges");
  }
  if (text.empty()) {
    notes.push_back(
        fmt::format("tokenizer.json cannot be rebuilt: {}; copy it from the float model", why));
  } else {
    files.push_back({"tokenizer.json", std::move(text)});
  }
  if (FindTokens(header, "tokens") != nullptr)
    files.push_back({"tokenizer_config.json", RebuildTokenizerConfig(header)});
  return files;
}

GgufMetadata GgufOfTokenizer(const TokenizerSource& source, std::vector<std::string>& notes) {
  return TokenizerWriter(source, notes).Run();
}

}  // namespace slim
