// Any bytes as tokenizer.json. A tokenizer that loads encodes and decodes short texts without a
// crash, and a token it gives is one that it has.
#include "text/tokenizer.h"

#include "fuzz.h"

namespace {

void Exercise(const slim::Tokenizer& tokenizer) {
  for (const std::string_view text :
       {"", " Hello, world! 123", "\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x98\x80\n\t"}) {
    const auto ids = tokenizer.Encode(text, true);
    if (!ids.ok()) continue;
    for (const int32_t id : *ids) FUZZ_CHECK(id >= 0 && static_cast<size_t>(id) < tokenizer.size());
    const auto decoded = tokenizer.Decode(*ids, false);
    slim::StreamDecoder stream(tokenizer, false);
    std::string joined;
    bool streamed = decoded.ok();
    for (const int32_t id : *ids) {
      auto piece = stream.Push(id);
      streamed = streamed && piece.ok();
      if (piece.ok()) joined += *piece;
    }
    auto rest = stream.Finish();
    if (streamed && rest.ok()) FUZZ_CHECK(joined + *rest == *decoded);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tokenizer = slim::Tokenizer::FromJson(slim::InputText(data, size), "");
  if (!tokenizer.ok()) {
    FUZZ_CHECK(tokenizer.error().ToString().find('\n') == std::string::npos);
    return 0;
  }
  Exercise(*tokenizer);
  return 0;
}
