// Any bytes as a quant description. What is accepted reads back the same after being written.
#include "checkpoint/quant_description.h"

#include "checkpoint/dialects/dialect.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto description = slim::QuantDescription::Parse(slim::InputText(data, size));
  if (!description.ok()) {
    FUZZ_CHECK(description.error().ToString().find('\n') == std::string::npos);
    return 0;
  }
  slim::ReadGlobals(*description);
  const std::string text = description->Write(2);
  const auto again = slim::QuantDescription::Parse(text);
  FUZZ_CHECK(again.ok() && again->entries().size() == description->entries().size());
  FUZZ_CHECK(again->Write(2) == text);
  return 0;
}
