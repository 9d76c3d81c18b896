// What the endpoint does with a request, without HTTP: checks it against the model, hands it to the
// scheduler, and says what there is.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/json.h"
#include "run/model.h"
#include "run/text_model.h"
#include "serve/answer_stream.h"
#include "serve/request.h"
#include "serve/response.h"
#include "serve/scheduler.h"

namespace slim {

struct ServiceOptions {
  std::string model_name;   // as requests name it
  std::string api_key;      // empty: anybody may ask
  uint64_t context = 0;     // positions at most, prompt and answer; > 0
  uint64_t first_seed = 0;  // of requests without a seed: the next number for each
  SchedulerLimits limits;
};

// A request that is being answered.
struct Answering {
  bool streamed = false;
  std::shared_ptr<AnswerStream> stream;
  ResponseWriter writer;
};

class Service {
 public:
  Service(const Model& model, const TextModel& text, const ServiceOptions& options);

  // API-key unless `authorization`, the header's value, is the key as a bearer token.
  Status CheckKey(std::string_view authorization) const;
  // Errors: those of ParseApiRequest and Submit, API-model, API-context, those of the tokenizer and
  // the chat template.
  Result<Answering> Begin(Endpoint endpoint, std::string_view body);
  // {"object": "list", "data": [the model]}
  Json ModelList() const;

  const std::string& model_name() const { return options_.model_name; }
  Scheduler& scheduler() { return scheduler_; }
  Metrics& metrics() { return metrics_; }

 private:
  Result<std::vector<GenerationRequest::Prompt>> Encode(const ApiRequest& request) const;
  Result<GenerationRequest::Prompt> EncodeOne(
      const std::variant<std::string, std::vector<int32_t>>& prompt) const;
  Status CheckLength(const ApiRequest& request, uint64_t prompt_tokens) const;
  Status CheckIds(std::span<const int32_t> ids, std::string_view member) const;
  // `number` of the request, from 1 on.
  Result<GenerationRequest> Prepare(const ApiRequest& request, uint64_t number) const;

  const Model& model_;
  const TextModel& text_;
  const ServiceOptions options_;
  Metrics metrics_;
  Scheduler scheduler_;
  const int64_t started_;
  std::atomic<uint64_t> requests_ = 0;
};

}  // namespace slim
