// Decoding a growing list of ids. The decoders are not made for it: what a token becomes can depend
// on its neighbours. So a window of ids is decoded with and without its newest ones; what the
// newest ones add is their text. The window keeps tokens with visible text on its left, so that
// what decoders do to the first token of a text never reaches the new ones.

#include <algorithm>
#include <utility>

#include "text/tokenizer.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"

namespace slim {
namespace {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";
// White space alone does not move the window; this bounds it all the same.
constexpr size_t kMaxWindow = 256;

// Bytes at the end of `text` that the cleaning of spaces may still change: from a space on when it
// is this near to the end (the longest pattern is " n't").
size_t UnsettledByCleaning(std::string_view text) {
  constexpr size_t kLongestPattern = 4;
  const size_t near = text.size() - std::min(text.size(), kLongestPattern);
  const size_t space = text.find(' ', near);
  return space == std::string_view::npos ? 0 : text.size() - space;
}

// Bytes in which two texts agree, in whole characters.
size_t CommonPrefix(std::string_view a, std::string_view b) {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  auto length = static_cast<size_t>(in_a - a.begin());
  if (length == a.size() || length == 0) return length;
  return (static_cast<unsigned char>(a[length]) & 0xC0U) == 0x80U ? PreviousBoundary(a, length)
                                                                  : length;
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : impl_(tokenizer.impl_), skip_special_tokens_(skip_special_tokens) {}

Result<std::string> StreamDecoder::Push(int32_t id) {
  if (!impl_->TokenText(id)) return impl_->Decode(std::span(&id, 1), skip_special_tokens_);
  if (skip_special_tokens_ && impl_->IsSpecial(id)) return std::string();
  ids_.push_back(id);
  if (impl_->AwaitsBytes(id)) return std::string();
  SLIM_ASSIGN(const std::string text, impl_->Decode(ids_, skip_special_tokens_));
  if (text.ends_with(kReplacementCharacter)) return std::string();
  size_t settled = text.size();
  if (impl_->LooksAhead()) {
    const std::span<const int32_t> before = std::span<const int32_t>(ids_).first(ids_.size() - 1);
    SLIM_ASSIGN(const std::string shorter, impl_->Decode(before, skip_special_tokens_));
    settled = CommonPrefix(text, shorter);
  }
  if (impl_->cleans_up()) settled -= UnsettledByCleaning(text);
  if (settled <= emitted_) return std::string();
  std::string fresh = text.substr(emitted_, settled - emitted_);
  emitted_ = settled;
  if (settled == text.size() && (!IsBlank(fresh) || ids_.size() > kMaxWindow)) {
    SLIM_TRY(MoveWindow());
  }
  return fresh;
}

// Keeps the newest ids, enough of them that their own text is not blank.
Status StreamDecoder::MoveWindow() {
  for (size_t keep = 1; keep < ids_.size(); keep *= 2) {
    const std::span<const int32_t> tail = std::span<const int32_t>(ids_).last(keep);
    SLIM_ASSIGN(const std::string text, impl_->Decode(tail, skip_special_tokens_));
    if (IsBlank(text) || impl_->AwaitsBytes(tail.front())) continue;
    if (text.find(kReplacementCharacter) != std::string::npos) continue;
    ids_.erase(ids_.begin(), ids_.end() - static_cast<std::ptrdiff_t>(keep));
    emitted_ = text.size();
    break;
  }
  return {};
}

Result<std::string> StreamDecoder::Finish() {
  SLIM_ASSIGN(const std::string text, impl_->Decode(ids_, skip_special_tokens_));
  std::string rest = text.size() > emitted_ ? text.substr(emitted_) : std::string();
  ids_.clear();
  emitted_ = 0;
  return rest;
}

}  // namespace slim
