// What slim-run says of an answer, a perplexity and a speed measurement, as JSON
// (schemas/run_output.schema.json), text and tables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "run/bench.h"
#include "run/choices.h"
#include "run/generate.h"
#include "run/perplexity.h"

namespace slim {

struct Answer {
  std::string text;
  std::vector<int32_t> token_ids;
  FinishReason finish_reason = FinishReason::kLength;
  uint64_t prompt_tokens = 0;
  std::optional<bool> expectation_met;  // with --expect
};
Json AnswerJson(const Answer& answer);

Json PerplexityJson(const Perplexity& result, const PerplexityOptions& options);
std::string PerplexityText(const Perplexity& result, const PerplexityOptions& options);

Json ChoicesJson(const ChoicesResult& result);
std::string ChoicesText(const ChoicesResult& result);

enum class TableFormat : uint8_t { kText, kJson, kCsv, kMarkdown };

// What a speed was measured of.
struct BenchSubject {
  std::string model;   // as the user named it
  std::string type;    // "llama W8A8"
  uint64_t bytes = 0;  // of the weights in memory
  std::string backend;
  std::string isa;
  int threads = 1;
};
std::string BenchReport(const BenchSubject& subject, const std::vector<BenchRow>& rows,
                        TableFormat format);

}  // namespace slim
