// The loaded state of a Tokenizer: its parts, and working memory lent to one call at a time.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/sentencepiece_normalizer.h"
#include "text/tokenizer_config.h"
#include "text/unigram.h"

namespace slim {

class TokenizerImpl {
 public:
  static Result<std::shared_ptr<const TokenizerImpl>> Load(std::string_view tokenizer_json,
                                                           std::string_view tokenizer_config);

  static Result<std::shared_ptr<const TokenizerImpl>> LoadSentencePiece(
      std::string_view model, std::string_view tokenizer_config);

  Result<std::vector<int32_t>> Encode(std::string_view text, bool add_special_tokens) const;
  Result<std::string> Decode(std::span<const int32_t> ids, bool skip_special_tokens) const;
  std::optional<int32_t> TokenId(std::string_view token) const;
  std::optional<std::string_view> TokenText(int32_t id) const;
  bool IsSpecial(int32_t id) const;
  size_t size() const;
  // Whether the text of token `id` can still change when more bytes follow.
  bool AwaitsBytes(int32_t id) const;
  // Whether the text of the last token can change when another one follows.
  bool LooksAhead() const { return decoder_ && decoder_->traits().looks_ahead; }
  bool cleans_up() const { return clean_up_; }

 private:
  // What takes the place of normalizer, pre-tokenizer and BPE.
  struct Unigram {
    SentencePieceNormalizer normalizer;
    UnigramModel model;
  };

  explicit TokenizerImpl(BpeModel model) : model_(std::move(model)) {}
  static Result<std::shared_ptr<TokenizerImpl>> LoadParts(std::string_view tokenizer_json,
                                                          std::string_view tokenizer_config);

  Status AddTokens(const Json* added, const TokenizerConfig& config);
  Status CheckPostProcessor() const;
  Status EncodeText(std::string_view text, bool at_start, BpeModel::Scratch& scratch,
                    std::vector<int32_t>& ids) const;
  Status EncodeWords(std::string_view text, bool at_start, BpeModel::Scratch& scratch,
                     std::vector<int32_t>& ids) const;

  std::unique_ptr<BpeModel::Scratch> TakeScratch() const;
  void ReturnScratch(std::unique_ptr<BpeModel::Scratch> scratch) const;

  BpeModel model_;  // of a unigram model the vocabulary
  std::optional<Unigram> unigram_;
  AddedTokens added_;
  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  PostProcessor post_processor_;
  std::unique_ptr<Decoder> decoder_;
  bool clean_up_ = false;

  mutable std::mutex scratch_mutex_;
  mutable std::vector<std::unique_ptr<BpeModel::Scratch>> idle_scratch_;
};

}  // namespace slim
