#include "serve/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "serve/api_error.h"

namespace slim {
namespace {

int64_t SecondsNow() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Takes as long for any wrong key of a length.
bool SameSecret(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned>(a[i] ^ (b.empty() ? '\0' : b[i % b.size()]));
  return difference == 0;
}

}  // namespace

Service::Service(const Model& model, const TextModel& text, const ServiceOptions& options)
    : model_(model),
      text_(text),
      options_(options),
      scheduler_(model, text, options.limits, metrics_),
      started_(SecondsNow()) {}

Status Service::CheckKey(std::string_view authorization) const {
  if (options_.api_key.empty()) return {};
  constexpr std::string_view kBearer = "Bearer ";
  if (authorization.starts_with(kBearer) &&
      SameSecret(authorization.substr(kBearer.size()), options_.api_key)) {
    return {};
  }
  return InputError("API-key",
                    authorization.empty() ? "no API key was sent" : "the API key is wrong",
                    "send the header 'Authorization: Bearer KEY'");
}

Json Service::ModelList() const {
  Json model = Json::Object();
  model.Set("id", options_.model_name);
  model.Set("object", "model");
  model.Set("created", started_);
  model.Set("owned_by", "slim");
  model.Set("max_model_len", options_.context);
  Json data = Json::Array();
  data.Push(std::move(model));
  Json json = Json::Object();
  json.Set("object", "list");
  json.Set("data", std::move(data));
  return json;
}

Status Service::CheckIds(std::span<const int32_t> ids, std::string_view member) const {
  for (const int32_t id : ids) {
    if (static_cast<uint64_t>(id) < model_.config().vocab_size) continue;
    return MemberError("API-member", member,
                       fmt::format("the model has no token {}: its vocabulary has {}", id,
                                   model_.config().vocab_size));
  }
  return {};
}

Result<GenerationRequest::Prompt> Service::EncodeOne(
    const std::variant<std::string, std::vector<int32_t>>& prompt) const {
  if (const auto* ids = std::get_if<std::vector<int32_t>>(&prompt)) {
    if (ids->empty()) return MemberError("API-member", "prompt", "the prompt has no token");
    SLIM_TRY(CheckIds(*ids, "prompt"));
    std::string text;
    for (const int32_t id : *ids) text += TokenTextAlone(text_, id);
    if (auto decoded = text_.tokenizer().Decode(*ids, false); decoded.ok())
      text = std::move(*decoded);
    return GenerationRequest::Prompt{*ids, std::move(text)};
  }
  const std::string& text = *std::get_if<std::string>(&prompt);
  SLIM_ASSIGN(std::vector<int32_t> ids, text_.EncodePrompt(text, "prompt"));
  SLIM_TRY(CheckIds(ids, "prompt"));
  return GenerationRequest::Prompt{std::move(ids), text};
}

Result<std::vector<GenerationRequest::Prompt>> Service::Encode(const ApiRequest& request) const {
  std::vector<GenerationRequest::Prompt> prompts;
  if (request.endpoint == Endpoint::kChat) {
    ChatOptions options;
    options.generation_prompt = !request.continues_answer;
    options.variables = request.template_variables;
    SLIM_ASSIGN(std::vector<int32_t> ids, text_.EncodeChat(request.messages, options));
    SLIM_TRY(CheckIds(ids, "messages"));
    prompts.push_back({std::move(ids), ""});
  }
  for (const auto& prompt : request.prompts) {
    SLIM_ASSIGN(GenerationRequest::Prompt encoded, EncodeOne(prompt));
    prompts.push_back(std::move(encoded));
  }
  return prompts;
}

Status Service::CheckLength(const ApiRequest& request, uint64_t prompt_tokens) const {
  const uint64_t room = prompt_tokens < options_.context ? options_.context - prompt_tokens : 0;
  const std::string_view member = request.endpoint == Endpoint::kChat ? "messages" : "prompt";
  if (room == 0 && request.max_tokens != 0U) {
    return MemberError("API-context", member,
                       fmt::format("the prompt has {} tokens, the context {} positions, of which "
                                   "the answer needs one at least",
                                   prompt_tokens, options_.context));
  }
  if (prompt_tokens > options_.context) {
    return MemberError("API-context", member,
                       fmt::format("the prompt has {} tokens, the context {} positions",
                                   prompt_tokens, options_.context));
  }
  if (request.max_tokens.value_or(0) <= room) return {};
  return MemberError("API-context", member,
                     fmt::format("{} tokens of prompt and {} of answer were asked for, the context "
                                 "has {} positions",
                                 prompt_tokens, *request.max_tokens, options_.context),
                     "shorten the prompt or ask for fewer tokens");
}

Result<GenerationRequest> Service::Prepare(const ApiRequest& request, uint64_t number) const {
  constexpr uint64_t kCompletionTokens = 16;  // the API's default
  GenerationRequest job;
  SLIM_ASSIGN(job.prompts, Encode(request));
  uint64_t longest = 0;
  for (const auto& prompt : job.prompts) {
    SLIM_TRY(CheckLength(request, prompt.ids.size()));
    longest = std::max<uint64_t>(longest, prompt.ids.size());
  }
  const uint64_t room = options_.context - longest;
  job.choices = request.choices;
  job.echo = request.echo;
  ChoiceOptions& options = job.options;
  options.max_tokens = request.max_tokens.value_or(
      request.endpoint == Endpoint::kChat ? room : std::min(room, kCompletionTokens));
  options.sampling = request.sampling;
  if (!request.has_seed) options.sampling.seed = options_.first_seed + number;
  options.rules = request.rules;
  for (const auto& [id, bias] : request.rules.bias) SLIM_TRY(CheckIds({&id, 1}, "logit_bias"));
  options.stop = request.stop;
  options.stop_tokens = request.stop_tokens;
  if (!request.ignore_eos) {
    const auto& ends = text_.stop_tokens();
    options.stop_tokens.insert(options.stop_tokens.end(), ends.begin(), ends.end());
  }
  options.skip_special_tokens = request.skip_special_tokens;
  options.top_logprobs = request.top_logprobs;
  return job;
}

Result<Answering> Service::Begin(Endpoint endpoint, std::string_view body) {
  SLIM_ASSIGN(ApiRequest request, ParseApiRequest(endpoint, body));
  if (!request.model.empty() && request.model != options_.model_name) {
    return MemberError("API-model", "model",
                       fmt::format("the model {} is not served here, {} is", Quote(request.model),
                                   Quote(options_.model_name)));
  }
  const uint64_t number = ++requests_;
  SLIM_ASSIGN(GenerationRequest job, Prepare(request, number));
  SLIM_ASSIGN(std::shared_ptr<AnswerStream> stream, scheduler_.Submit(std::move(job)));
  std::string id = fmt::format("{}-{:x}-{:x}", endpoint == Endpoint::kChat ? "chatcmpl" : "cmpl",
                               started_, number);
  return Answering{request.stream, std::move(stream),
                   ResponseWriter(request, options_.model_name, std::move(id), SecondsNow())};
}

}  // namespace slim
