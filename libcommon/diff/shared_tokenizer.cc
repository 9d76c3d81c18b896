#include "diff/shared_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "os/file.h"

namespace slim {
namespace {

constexpr std::string_view kFile = "tokenizer.json";
constexpr std::string_view kHint = "compare checkpoints of one model";

std::string TokenOrNone(const Tokenizer& tokenizer, int32_t id) {
  const std::string text = tokenizer.TokenText(id);
  return text.empty() ? "no token" : Quote(text);
}

Status CheckSameVocabulary(const Tokenizer& first, const std::string& first_path,
                           const Tokenizer& second, const std::string& second_path) {
  const size_t size = std::max(first.size(), second.size());
  for (size_t i = 0; i < size; ++i) {
    const auto id = static_cast<int32_t>(i);
    if (first.TokenText(id) == second.TokenText(id)) continue;
    return InputError("DIFF-tokenizer",
                      fmt::format("token {} is {}, in {} it is {}", id, TokenOrNone(second, id),
                                  Escape(first_path), TokenOrNone(first, id)),
                      std::string(kHint))
        .WithPath(second_path);
  }
  return {};
}

}  // namespace

Result<SharedTokenizer> SharedTokenizer::Load(const Checkpoint& first,
                                              const ModelConfig& first_config,
                                              const Checkpoint& second,
                                              const ModelConfig& second_config,
                                              Listener& listener) {
  SLIM_ASSIGN(TextModel text, TextModel::Load(first, first_config));
  SharedTokenizer shared(std::move(text));
  shared.first_path_ = JoinPath(first.path(), kFile);
  shared.second_path_ = JoinPath(second.path(), kFile);
  if (!second.HasFile(kFile)) {
    listener.Warning(fmt::format("{} is missing: taken to be the same as {}",
                                 Escape(shared.second_path_), Escape(shared.first_path_)));
    return shared;
  }
  SLIM_ASSIGN(const std::string first_bytes, first.ReadSideFile(kFile));
  SLIM_ASSIGN(const std::string second_bytes, second.ReadSideFile(kFile));
  if (first_bytes == second_bytes) return shared;
  SLIM_ASSIGN(shared.second_, TextModel::Load(second, second_config));
  SLIM_TRY(CheckSameVocabulary(shared.first_.tokenizer(), shared.first_path_,
                               shared.second_->tokenizer(), shared.second_path_));
  listener.Note(fmt::format("{} and {} differ, but not in their tokens", Escape(shared.first_path_),
                            Escape(shared.second_path_)));
  return shared;
}

Result<std::vector<int32_t>> SharedTokenizer::Encode(std::string_view text,
                                                     std::string_view source) const {
  SLIM_ASSIGN(std::vector<int32_t> ids, first_.EncodePlain(text, source));
  if (!second_) return ids;
  SLIM_ASSIGN(const std::vector<int32_t> others, second_->EncodePlain(text, source));
  if (ids == others) return ids;
  const auto at = std::mismatch(ids.begin(), ids.end(), others.begin(), others.end());
  return InputError("DIFF-tokenizer",
                    fmt::format("cuts {} into other tokens than {} from token {} on",
                                Escape(source), Escape(first_path_), at.first - ids.begin() + 1),
                    std::string(kHint))
      .WithPath(second_path_);
}

Result<std::string> SharedTokenizer::Decode(std::span<const int32_t> ids) const {
  const Tokenizer& tokenizer = first_.tokenizer();
  std::vector<int32_t> known;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(known),
               [&](int32_t id) { return !tokenizer.TokenText(id).empty(); });
  return tokenizer.Decode(known, /*skip_special_tokens=*/true);
}

}  // namespace slim
