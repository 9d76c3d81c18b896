// Any bytes as JSON. What is accepted reads back the same after being written, compact, indented
// and in ASCII; setting a new member of an object and removing it again gives the same bytes.
#include "json/json.h"

#include "fuzz.h"
#include "json/edit.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = slim::InputText(data, size);
  const auto value = slim::ParseJson(text);
  if (!value.ok()) {
    FUZZ_CHECK(value.error().ToString().find('\n') == std::string::npos);
    return 0;
  }
  for (const slim::JsonStyle& style : {slim::JsonStyle{}, slim::JsonStyle{.indent = 2},
                                       slim::JsonStyle{.ensure_ascii = false, .spaces = false}}) {
    const auto again = slim::ParseJson(slim::DumpJson(*value, style));
    FUZZ_CHECK(again.ok() && *again == *value);
  }
  const std::string key = "a key that is not there";
  if (!value->is_object() || value->Find(key) != nullptr) return 0;
  const auto set = slim::SetMember(text, key, "[1, 2]");
  FUZZ_CHECK(set.ok());
  const auto edited = slim::ParseJson(*set);
  FUZZ_CHECK(edited.ok() && edited->Find(key)->items().size() == 2);
  const auto removed = slim::RemoveMember(*set, key);
  FUZZ_CHECK(removed.ok() && *removed == text);
  return 0;
}
