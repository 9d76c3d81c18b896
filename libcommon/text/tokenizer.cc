#include "text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "json/json.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer_impl.h"

namespace slim {
namespace {

// Offsets inside a word are 32 bits wide; byte-level spelling doubles, other growth is bounded too.
constexpr size_t kMaxTextBytes = size_t{1} << 28;

}  // namespace

Result<std::shared_ptr<const TokenizerImpl>> TokenizerImpl::Load(
    std::string_view tokenizer_json, std::string_view tokenizer_config) {
  SLIM_ASSIGN(auto impl, LoadParts(tokenizer_json, tokenizer_config));
  return std::shared_ptr<const TokenizerImpl>(std::move(impl));
}

Result<std::shared_ptr<const TokenizerImpl>> TokenizerImpl::LoadSentencePiece(
    std::string_view model, std::string_view tokenizer_config) {
  SLIM_ASSIGN(const SentencePieceProto proto, ReadSentencePieceProto(model));
  SLIM_ASSIGN(const std::string json, TokenizerJsonOfSentencePiece(proto, tokenizer_config));
  SLIM_ASSIGN(auto impl, LoadParts(json, tokenizer_config));
  if (proto.model_type == SentencePieceModelType::kUnigram) {
    SLIM_ASSIGN(auto normalizer, SentencePieceNormalizer::FromProto(proto));
    SLIM_ASSIGN(auto unigram, UnigramModel::FromProto(proto));
    impl->unigram_ = Unigram{std::move(normalizer), std::move(unigram)};
  }
  return std::shared_ptr<const TokenizerImpl>(std::move(impl));
}

Result<std::shared_ptr<TokenizerImpl>> TokenizerImpl::LoadParts(std::string_view tokenizer_json,
                                                                std::string_view tokenizer_config) {
  SLIM_ASSIGN(const Json json, ParseJson(tokenizer_json));
  if (!json.is_object())
    return InputError("TOK-field", "not a tokenizer: the top must be an object");
  const Json* model_json = json.Find("model");
  if (model_json == nullptr) return InputError("TOK-field", "not a tokenizer: no \"model\"");
  SLIM_ASSIGN(const TokenizerConfig config, TokenizerConfig::Parse(tokenizer_config));
  SLIM_ASSIGN(BpeModel model, BpeModel::FromJson(*model_json));
  std::shared_ptr<TokenizerImpl> impl(new TokenizerImpl(std::move(model)));
  SLIM_ASSIGN(impl->normalizer_, Normalizer::FromJson(json.Find("normalizer")));
  SLIM_ASSIGN(impl->pre_tokenizer_, PreTokenizer::FromJson(json.Find("pre_tokenizer")));
  SLIM_ASSIGN(impl->post_processor_, PostProcessor::FromJson(json.Find("post_processor")));
  SLIM_ASSIGN(impl->decoder_, Decoder::FromJson(json.Find("decoder")));
  SLIM_TRY(impl->AddTokens(json.Find("added_tokens"), config));
  SLIM_TRY(impl->CheckPostProcessor());
  impl->clean_up_ = config.clean_up;
  return impl;
}

Status TokenizerImpl::AddTokens(const Json* added, const TokenizerConfig& config) {
  if (added != nullptr && !added->is_null()) {
    if (!added->is_array()) return InputError("TOK-field", "\"added_tokens\" must be an array");
    for (const Json& item : added->items()) {
      SLIM_ASSIGN(const AddedToken token, AddedToken::FromJson(item));
      SLIM_TRY(added_.Add(token, model_.vocabulary()));
    }
  }
  for (const AddedToken& token : config.added) SLIM_TRY(added_.Add(token, model_.vocabulary()));
  for (const TokenizerConfig::Named& named : config.named) {
    if (!named.has_flags && added_.Find(named.token.content)) {
      added_.MarkSpecial(named.token.content);
    } else {
      SLIM_TRY(added_.Add(named.token, model_.vocabulary()));
    }
  }
  if (config.split_special_tokens) added_.IgnoreSpecialInText();
  return added_.BuildSearch(normalizer_.get());
}

Status TokenizerImpl::CheckPostProcessor() const {
  for (const auto* ids : {&post_processor_.before, &post_processor_.after}) {
    for (const int32_t id : *ids) {
      if (!TokenText(id)) {
        return InputError("TOK-template", fmt::format("the post_processor adds id {}, which names "
                                                      "no token",
                                                      id));
      }
    }
  }
  return {};
}

std::unique_ptr<BpeModel::Scratch> TokenizerImpl::TakeScratch() const {
  {
    const std::lock_guard<std::mutex> lock(scratch_mutex_);
    if (!idle_scratch_.empty()) {
      auto scratch = std::move(idle_scratch_.back());
      idle_scratch_.pop_back();
      return scratch;
    }
  }
  return std::make_unique<BpeModel::Scratch>();
}

void TokenizerImpl::ReturnScratch(std::unique_ptr<BpeModel::Scratch> scratch) const {
  const std::lock_guard<std::mutex> lock(scratch_mutex_);
  idle_scratch_.push_back(std::move(scratch));
}

Result<std::vector<int32_t>> TokenizerImpl::Encode(std::string_view text,
                                                   bool add_special_tokens) const {
  if (!IsUtf8(text)) return InputError("TOK-utf8", "the text is not UTF-8");
  if (text.size() > kMaxTextBytes) {
    return InputError("TOK-too-long",
                      fmt::format("a text of {}, more than {} in one piece", HumanSize(text.size()),
                                  HumanSize(kMaxTextBytes)));
  }
  std::vector<int32_t> ids;
  std::unique_ptr<BpeModel::Scratch> scratch = TakeScratch();
  Status status;
  for (const AddedTokens::Segment& segment : added_.Cut(text, /*normalized=*/false)) {
    if (segment.id) {
      ids.push_back(*segment.id);
      continue;
    }
    status = EncodeText(segment.text, segment.text.data() == text.data(), *scratch, ids);
    if (!status.ok()) break;
  }
  ReturnScratch(std::move(scratch));
  SLIM_TRY(std::move(status));
  if (add_special_tokens) post_processor_.Apply(ids);
  return ids;
}

// Text between the added tokens that are looked for as they are.
Status TokenizerImpl::EncodeText(std::string_view text, bool at_start, BpeModel::Scratch& scratch,
                                 std::vector<int32_t>& ids) const {
  std::string normalized;
  if (unigram_) {
    SLIM_ASSIGN(normalized, unigram_->normalizer.Apply(text));
    unigram_->model.Encode(normalized, ids);
    return {};
  }
  if (normalizer_) {
    normalized = text;
    SLIM_TRY(normalizer_->Apply(normalized, at_start));
    text = normalized;
  }
  for (const AddedTokens::Segment& segment : added_.Cut(text, /*normalized=*/true)) {
    if (segment.id) {
      ids.push_back(*segment.id);
      continue;
    }
    const bool first = at_start && segment.text.data() == text.data();
    SLIM_TRY(EncodeWords(segment.text, first, scratch, ids));
  }
  return {};
}

Status TokenizerImpl::EncodeWords(std::string_view text, bool at_start, BpeModel::Scratch& scratch,
                                  std::vector<int32_t>& ids) const {
  Pieces pieces(text, at_start);
  if (pre_tokenizer_) SLIM_TRY(pre_tokenizer_->Apply(pieces));
  for (const Pieces::Piece& piece : pieces.items()) {
    SLIM_TRY(model_.Encode(piece.text, scratch, ids));
  }
  return {};
}

Result<std::string> TokenizerImpl::Decode(std::span<const int32_t> ids,
                                          bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    const auto token = TokenText(id);
    if (!token) return InputError("TOK-id", fmt::format("id {} names no token", id));
    if (skip_special_tokens && added_.IsSpecial(*token)) continue;
    tokens.emplace_back(*token);
  }
  std::string text;
  if (decoder_) {
    SLIM_TRY(decoder_->Apply(tokens));
    for (const std::string& token : tokens) text += token;
  } else {
    text = Join(tokens, " ");
  }
  if (clean_up_) text = CleanUpSpaces(std::move(text), /*of_wordpiece=*/false);
  return text;
}

std::optional<int32_t> TokenizerImpl::TokenId(std::string_view token) const {
  if (const auto id = added_.Find(token); id) return id;
  return model_.vocabulary().Find(token);
}

std::optional<std::string_view> TokenizerImpl::TokenText(int32_t id) const {
  if (const std::string* text = added_.Text(id); text != nullptr) return *text;
  return model_.vocabulary().Text(id);
}

bool TokenizerImpl::IsSpecial(int32_t id) const {
  const auto token = TokenText(id);
  return token && added_.IsSpecial(*token);
}

size_t TokenizerImpl::size() const { return std::max(added_.end(), model_.vocabulary().end()); }

bool TokenizerImpl::AwaitsBytes(int32_t id) const {
  if (!decoder_ || !decoder_->traits().joins_byte_tokens) return false;
  const auto token = TokenText(id);
  return token && ByteOfToken(*token).has_value();
}

Result<Tokenizer> Tokenizer::FromJson(std::string_view tokenizer_json,
                                      std::string_view tokenizer_config) {
  SLIM_ASSIGN(auto impl, TokenizerImpl::Load(tokenizer_json, tokenizer_config));
  return Tokenizer(std::move(impl));
}

Result<Tokenizer> Tokenizer::FromSentencePiece(std::string_view model,
                                               std::string_view tokenizer_config) {
  SLIM_ASSIGN(auto impl, TokenizerImpl::LoadSentencePiece(model, tokenizer_config));
  return Tokenizer(std::move(impl));
}

Result<std::vector<int32_t>> Tokenizer::Encode(std::string_view text,
                                               bool add_special_tokens) const {
  return impl_->Encode(text, add_special_tokens);
}

Result<std::string> Tokenizer::Decode(std::span<const int32_t> ids,
                                      bool skip_special_tokens) const {
  return impl_->Decode(ids, skip_special_tokens);
}

std::optional<int32_t> Tokenizer::TokenId(std::string_view token) const {
  return impl_->TokenId(token);
}

std::string Tokenizer::TokenText(int32_t id) const {
  return std::string(impl_->TokenText(id).value_or(""));
}

bool Tokenizer::IsSpecial(int32_t id) const { return impl_->IsSpecial(id); }

size_t Tokenizer::size() const { return impl_->size(); }

}  // namespace slim
