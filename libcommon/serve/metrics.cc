#include "serve/metrics.h"

#include <fmt/format.h>

namespace slim {
namespace {

std::string Head(std::string_view name, std::string_view type, std::string_view help) {
  return fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

std::string Value(std::string_view name, std::string_view type, std::string_view help,
                  uint64_t value) {
  return Head(name, type, help) + fmt::format("{} {}\n", name, value);
}

// A label's value: backslash, quote and line feed are escaped.
std::string Label(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? "\\n" : std::string(1, c);
  }
  return out;
}

}  // namespace

void Histogram::Add(double seconds) {
  size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
  const std::lock_guard lock(mutex_);
  ++counts_[bucket];
  sum_ += seconds;
}

std::string Histogram::Text(std::string_view name, std::string_view help) const {
  const std::lock_guard lock(mutex_);
  std::string out = Head(name, "histogram", help);
  uint64_t total = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    const std::string bound = i < kBounds.size() ? fmt::format("{}", kBounds[i]) : "+Inf";
    out += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bound, total);
  }
  return out + fmt::format("{}_sum {}\n{}_count {}\n", name, sum_, name, total);
}

void Metrics::CountAnswer(std::string_view path, int status) {
  const std::lock_guard lock(mutex_);
  ++answers_[{std::string(path), status}];
}

std::string Metrics::Text(std::string_view model) const {
  std::string out = Head("slim_model_info", "gauge", "The model that is served.");
  out += fmt::format("slim_model_info{{model=\"{}\"}} 1\n", Label(model));
  out += Value("slim_sequences_running", "gauge", "Sequences that are decoded together.", running);
  out += Value("slim_prompts_waiting", "gauge", "Prompts in the queue.", waiting);
  out += Value("slim_prompt_tokens_total", "counter", "Tokens of prompts computed.", prompt_tokens);
  out += Value("slim_generation_tokens_total", "counter", "Tokens generated.", generated_tokens);
  out += Value("slim_decode_steps_total", "counter",
               "Passes over the weights for one token of every running sequence.", decode_steps);
  out += Value("slim_requests_cancelled_total", "counter", "Requests whose client went away.",
               cancelled);
  out += first_token.Text("slim_time_to_first_token_seconds", "From request to first token.");
  out += duration.Text("slim_request_duration_seconds", "From request to last token.");
  out += Head("slim_http_responses_total", "counter", "Answers by path and HTTP status.");
  const std::lock_guard lock(mutex_);
  for (const auto& [key, count] : answers_) {
    out += fmt::format("slim_http_responses_total{{path=\"{}\",status=\"{}\"}} {}\n",
                       Label(key.first), key.second, count);
  }
  return out;
}

}  // namespace slim
