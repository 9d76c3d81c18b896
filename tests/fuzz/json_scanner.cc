// The scanner against nlohmann-json: whatever the scanner accepts of a document whose numbers are
// unsigned integers, nlohmann accepts with the same keys, strings and numbers.
#include "json/scanner.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fuzz.h"

namespace {

constexpr int kMaxDepth = 60;

// The events of nlohmann's parser as text.
struct Recorder : nlohmann::json_sax<nlohmann::json> {
  std::vector<std::string> events;
  bool Add(std::string event) {
    events.push_back(std::move(event));
    return true;
  }
  bool null() override { return Add("null"); }
  bool boolean(bool value) override { return Add(value ? "true" : "false"); }
  bool number_integer(int64_t value) override { return Add(std::to_string(value)); }
  bool number_unsigned(uint64_t value) override { return Add(std::to_string(value)); }
  bool number_float(double /*value*/, const std::string& text) override { return Add(text); }
  bool string(std::string& value) override { return Add("s" + value); }
  bool binary(nlohmann::json::binary_t& /*value*/) override { return false; }
  bool start_object(size_t /*count*/) override { return Add("{"); }
  bool key(std::string& name) override { return Add("k" + name); }
  bool end_object() override { return Add("}"); }
  bool start_array(size_t /*count*/) override { return Add("["); }
  bool end_array() override { return Add("]"); }
  bool parse_error(size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::json::exception& /*error*/) override {
    return false;
  }
};

// The same events by asking the scanner.
slim::Status Scan(slim::JsonScanner& scanner, std::vector<std::string>& events, int depth) {
  const std::string kind(scanner.NextKind());
  if (depth > kMaxDepth) return scanner.Fail("JSON-too-deep", "too deep");
  if (kind == "object") {
    SLIM_TRY(scanner.BeginObject());
    events.emplace_back("{");
    for (std::string_view key;;) {
      SLIM_ASSIGN(const bool more, scanner.NextKey(key));
      if (!more) break;
      events.push_back("k" + std::string(key));
      SLIM_TRY(Scan(scanner, events, depth + 1));
    }
    events.emplace_back("}");
  } else if (kind == "array") {
    SLIM_TRY(scanner.BeginArray());
    events.emplace_back("[");
    while (true) {
      SLIM_ASSIGN(const bool more, scanner.NextElement());
      if (!more) break;
      SLIM_TRY(Scan(scanner, events, depth + 1));
    }
    events.emplace_back("]");
  } else if (kind == "string") {
    SLIM_ASSIGN(const std::string_view text, scanner.String());
    events.push_back("s" + std::string(text));
  } else if (kind == "number") {
    SLIM_ASSIGN(const uint64_t value, scanner.Unsigned());
    events.push_back(std::to_string(value));
  } else {
    SLIM_TRY(scanner.SkipValue(1));
    events.push_back(kind);
  }
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = slim::InputText(data, size);
  slim::JsonScanner scanner(text);
  std::vector<std::string> events;
  const bool accepted = scanner.Start().ok() && Scan(scanner, events, 0).ok() && scanner.End().ok();
  slim::JsonScanner skipper(text);
  const bool skipped =
      skipper.Start().ok() && skipper.SkipValue(kMaxDepth).ok() && skipper.End().ok();
  if (!accepted) return 0;
  FUZZ_CHECK(skipped || events.size() > kMaxDepth);
  Recorder oracle;
  FUZZ_CHECK(nlohmann::json::sax_parse(text.begin(), text.end(), &oracle));
  FUZZ_CHECK(oracle.events == events);
  return 0;
}
