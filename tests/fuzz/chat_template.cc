// Any bytes as a chat template, rendered with a small conversation within tight limits: the same
// text each time, never more than the limit, never a crash.
#include "text/chat_template.h"

#include "fuzz.h"

namespace {

const slim::Json& Context() {
  static const slim::Json kContext =
      slim::ParseJson(R"({"messages": [{"role": "system", "content": "Be brief."},
          {"role": "user", "content": "1 < 2?"},
          {"role": "assistant", "content": "<think>\nx\n</think>\nYes."},
          {"role": "user", "content": "Why?"}], "tools": null, "add_generation_prompt": true,
          "bos_token": "<s>", "eos_token": "</s>"})")
          .value();
  return kContext;
}

std::tm Epoch() {
  std::tm time = {};
  time.tm_year = 100;
  time.tm_mday = 1;
  return time;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto program = slim::ChatTemplate::Compile(slim::InputText(data, size));
  if (!program.ok()) {
    FUZZ_CHECK(program.error().ToString().find('\n') == std::string::npos);
    return 0;
  }
  const slim::TemplateLimits limits = {.max_steps = 20'000, .max_output_bytes = 100'000};
  const auto text = program->Render(Context(), limits, Epoch);
  const auto again = program->Render(Context(), limits, Epoch);
  FUZZ_CHECK(text.ok() == again.ok());
  if (text.ok()) {
    FUZZ_CHECK(*text == *again && text->size() <= limits.max_output_bytes);
  } else {
    FUZZ_CHECK(text.error().ToString().find('\n') == std::string::npos);
  }
  return 0;
}
