#include "serve/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "serve/api_error.h"

namespace slim {
namespace {

constexpr uint8_t kText = 1;  // completions
constexpr uint8_t kTalk = 2;  // chat completions
constexpr uint8_t kBoth = kText | kTalk;

struct Context {
  const Json& body;
  ApiRequest& request;
};

Error Wrong(std::string_view member, std::string_view wanted, const Json& found) {
  return MemberError(
      "API-member", member,
      fmt::format("'{}' is {} where {} is wanted", member,
                  found.is_number() ? found.text() : "a JSON " + std::string(found.KindName()),
                  wanted));
}

Result<double> ReadReal(const Json& value, std::string_view member, double low, double high) {
  const std::optional<double> number = value.AsDouble();
  if (!number || !(*number >= low && *number <= high))
    return Wrong(member, fmt::format("a number from {} to {}", low, high), value);
  return *number;
}

Result<int64_t> ReadInteger(const Json& value, std::string_view member, int64_t low, int64_t high) {
  const std::optional<int64_t> number = value.AsInteger();
  if (!number || *number < low || *number > high)
    return Wrong(member, fmt::format("an integer from {} to {}", low, high), value);
  return *number;
}

Result<bool> ReadBool(const Json& value, std::string_view member) {
  const std::optional<bool> truth = value.AsBool();
  if (!truth) return Wrong(member, "true or false", value);
  return *truth;
}

Result<std::vector<int32_t>> ReadIds(const Json& list, std::string_view member) {
  std::vector<int32_t> ids;
  for (const Json& item : list.items()) {
    SLIM_ASSIGN(const int64_t id, ReadInteger(item, member, 0, INT32_MAX));
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

Status ReadModel(const Json& value, Context& context) {
  if (!value.is_string()) return Wrong("model", "a text", value);
  context.request.model = value.text();
  return {};
}

Status ReadPrompt(const Json& value, Context& context) {
  auto& prompts = context.request.prompts;
  const Error wrong = Wrong(
      "prompt", "a text, a list of texts, a list of token ids or a list of such lists", value);
  if (value.is_string()) {
    prompts.emplace_back(value.text());
    return {};
  }
  if (!value.is_array() || value.items().empty()) return wrong;
  if (value.items().front().is_number()) {
    SLIM_ASSIGN(std::vector<int32_t> ids, ReadIds(value, "prompt"));
    prompts.emplace_back(std::move(ids));
    return {};
  }
  if (value.items().size() > kMaxPrompts) {
    return MemberError("API-member", "prompt",
                       fmt::format("{} prompts in one request, at most {} are taken",
                                   value.items().size(), kMaxPrompts));
  }
  for (const Json& item : value.items()) {
    if (item.is_string()) {
      prompts.emplace_back(item.text());
    } else if (item.is_array()) {
      SLIM_ASSIGN(std::vector<int32_t> ids, ReadIds(item, "prompt"));
      prompts.emplace_back(std::move(ids));
    } else {
      return wrong;
    }
  }
  return {};
}

// A list of parts becomes the text that templates of text models take.
Result<Json> ReadContent(const Json& content) {
  if (content.is_string() || content.is_null()) return content;
  if (!content.is_array())
    return Wrong("messages", "a text, or a list of text parts, as content", content);
  std::string text;
  for (const Json& part : content.items()) {
    const Json* type = part.Find("type");
    const Json* words = part.Find("text");
    if (type == nullptr || type->AsString() != "text" || words == nullptr || !words->is_string()) {
      return MemberError("API-unsupported", "messages",
                         "a part of a message is no text: this server takes text only");
    }
    text += words->text();
  }
  return Json(text);
}

Status ReadMessages(const Json& value, Context& context) {
  if (!value.is_array() || value.items().empty())
    return Wrong("messages", "a list of at least one message", value);
  Json messages = Json::Array();
  for (const Json& item : value.items()) {
    const Json* role = item.is_object() ? item.Find("role") : nullptr;
    if (role == nullptr || !role->is_string())
      return Wrong("messages", "an object with 'role' and 'content' as message", item);
    const Json* content = item.Find("content");
    Json message = item;
    SLIM_ASSIGN(Json text, ReadContent(content == nullptr ? Json("") : *content));
    message.Set("content", std::move(text));
    messages.Push(std::move(message));
  }
  context.request.messages = std::move(messages);
  return {};
}

Status ReadMaxTokens(const Json& value, std::string_view member, Context& context) {
  SLIM_ASSIGN(const int64_t count, ReadInteger(value, member, 0, INT32_MAX));
  context.request.max_tokens = static_cast<uint64_t>(count);
  return {};
}

Status ReadStop(const Json& value, Context& context) {
  std::vector<std::string>& stop = context.request.stop;
  if (value.is_string()) {
    stop.push_back(value.text());
  } else if (value.is_array()) {
    for (const Json& item : value.items()) {
      if (!item.is_string()) return Wrong("stop", "a text", item);
      stop.push_back(item.text());
    }
  } else {
    return Wrong("stop", "a text or a list of texts", value);
  }
  if (stop.size() > kMaxStops) {
    return MemberError("API-member", "stop",
                       fmt::format("{} texts, at most {} are taken", stop.size(), kMaxStops));
  }
  if (std::find(stop.begin(), stop.end(), "") != stop.end())
    return MemberError("API-member", "stop", "an empty text would stop at once");
  return {};
}

Status ReadLogprobs(const Json& value, Context& context) {
  if (context.request.endpoint == Endpoint::kChat) {
    SLIM_ASSIGN(const bool wanted, ReadBool(value, "logprobs"));
    if (wanted && !context.request.top_logprobs) context.request.top_logprobs = 0;
    return {};
  }
  SLIM_ASSIGN(const int64_t count, ReadInteger(value, "logprobs", 0, kMaxTopLogprobs));
  context.request.top_logprobs = static_cast<uint64_t>(count);
  return {};
}

Status ReadTopLogprobs(const Json& value, Context& context) {
  SLIM_ASSIGN(const int64_t count, ReadInteger(value, "top_logprobs", 0, kMaxTopLogprobs));
  const Json* logprobs = context.body.Find("logprobs");
  if (logprobs == nullptr || logprobs->AsBool() != true)
    return MemberError("API-member", "top_logprobs", "'top_logprobs' needs 'logprobs': true");
  context.request.top_logprobs = static_cast<uint64_t>(count);
  return {};
}

Status ReadLogitBias(const Json& value, Context& context) {
  if (!value.is_object()) return Wrong("logit_bias", "an object of token ids to numbers", value);
  for (const auto& [key, item] : value.members()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      return MemberError("API-member", "logit_bias", fmt::format("{} is no token id", Quote(key)));
    }
    SLIM_ASSIGN(const double bias, ReadReal(item, "logit_bias", -100, 100));
    context.request.rules.bias.emplace_back(id, bias);
  }
  return {};
}

Status ReadStreamOptions(const Json& value, Context& context) {
  if (!value.is_object()) return Wrong("stream_options", "an object", value);
  const Json* usage = value.Find("include_usage");
  if (usage == nullptr || usage->is_null()) return {};
  SLIM_ASSIGN(context.request.stream_usage, ReadBool(*usage, "stream_options"));
  return {};
}

Status ReadStopTokens(const Json& value, Context& context) {
  if (!value.is_array()) return Wrong("stop_token_ids", "a list of token ids", value);
  SLIM_ASSIGN(context.request.stop_tokens, ReadIds(value, "stop_token_ids"));
  return {};
}

Status ReadTemplateVariables(const Json& value, Context& context) {
  if (!value.is_object()) return Wrong("chat_template_kwargs", "an object", value);
  context.request.template_variables = value;
  return {};
}

Status ReadSeed(const Json& value, Context& context) {
  SLIM_ASSIGN(const int64_t seed, ReadInteger(value, "seed", INT64_MIN, INT64_MAX));
  context.request.sampling.seed = static_cast<uint64_t>(seed);
  context.request.has_seed = true;
  return {};
}

// -1 and 0 switch it off, as in vLLM.
Status ReadTopK(const Json& value, Context& context) {
  SLIM_ASSIGN(const int64_t count, ReadInteger(value, "top_k", -1, INT32_MAX));
  context.request.sampling.top_k = count > 0 ? static_cast<uint64_t>(count) : 0;
  return {};
}

Status ReadTopP(const Json& value, Context& context) {
  SLIM_ASSIGN(context.request.sampling.top_p, ReadReal(value, "top_p", 0, 1));
  // The most probable token always stays; the sampler wants a number above 0.
  context.request.sampling.top_p = std::max(context.request.sampling.top_p, 1e-300);
  return {};
}

Status ReadGenerationPrompt(const Json& value, Context& context) {
  SLIM_ASSIGN(const bool wanted, ReadBool(value, "add_generation_prompt"));
  context.request.continues_answer = !wanted;
  return {};
}

// What one value only makes sense of here: others are named as unsupported.
Status WantOnly(bool harmless, std::string_view member) {
  if (harmless) return {};
  return MemberError("API-unsupported", member, fmt::format("this server has no '{}'", member),
                     "leave it out");
}

struct Member {
  std::string_view name;
  uint8_t endpoints;
  Status (*read)(const Json& value, Context& context);
};

Status Ignore(const Json& /*value*/, Context& /*context*/) { return {}; }

// Every member of a request that is understood, in the order of the API's reference. A null is as
// good as nothing.
constexpr Member kMembers[] = {
    {"model", kBoth, ReadModel},
    {"prompt", kText, ReadPrompt},
    {"messages", kTalk, ReadMessages},
    {"max_tokens", kBoth,
     [](const Json& value, Context& context) {
       return ReadMaxTokens(value, "max_tokens", context);
     }},
    {"max_completion_tokens", kTalk,
     [](const Json& value, Context& context) {
       return ReadMaxTokens(value, "max_completion_tokens", context);
     }},
    {"temperature", kBoth,
     [](const Json& value, Context& context) -> Status {
       SLIM_ASSIGN(context.request.sampling.temperature, ReadReal(value, "temperature", 0, 100));
       return {};
     }},
    {"top_p", kBoth, ReadTopP},
    {"top_k", kBoth, ReadTopK},
    {"seed", kBoth, ReadSeed},
    {"n", kBoth,
     [](const Json& value, Context& context) -> Status {
       SLIM_ASSIGN(const int64_t count, ReadInteger(value, "n", 1, kMaxChoices));
       context.request.choices = static_cast<uint64_t>(count);
       return {};
     }},
    {"best_of", kText,
     [](const Json& value, Context& context) {
       const Json* choices = context.body.Find("n");
       const int64_t count = choices == nullptr ? 1 : choices->AsInteger().value_or(1);
       return WantOnly(value.AsInteger() == count, "best_of");
     }},
    {"stop", kBoth, ReadStop},
    {"stop_token_ids", kBoth, ReadStopTokens},
    {"ignore_eos", kBoth,
     [](const Json& value, Context& context) -> Status {
       SLIM_ASSIGN(context.request.ignore_eos, ReadBool(value, "ignore_eos"));
       return {};
     }},
    {"skip_special_tokens", kBoth,
     [](const Json& value, Context& context) -> Status {
       SLIM_ASSIGN(context.request.skip_special_tokens, ReadBool(value, "skip_special_tokens"));
       return {};
     }},
    {"logprobs", kBoth, ReadLogprobs},
    {"top_logprobs", kTalk, ReadTopLogprobs},
    {"echo", kText,
     [](const Json& value, Context& context) -> Status {
       SLIM_ASSIGN(context.request.echo, ReadBool(value, "echo"));
       return {};
     }},
    {"stream", kBoth,
     [](const Json& value, Context& context) -> Status {
       SLIM_ASSIGN(context.request.stream, ReadBool(value, "stream"));
       return {};
     }},
    {"stream_options", kBoth, ReadStreamOptions},
    {"presence_penalty", kBoth,
     [](const Json& value, Context& context) -> Status {
       SLIM_ASSIGN(context.request.rules.presence_penalty,
                   ReadReal(value, "presence_penalty", -2, 2));
       return {};
     }},
    {"frequency_penalty", kBoth,
     [](const Json& value, Context& context) -> Status {
       SLIM_ASSIGN(context.request.rules.frequency_penalty,
                   ReadReal(value, "frequency_penalty", -2, 2));
       return {};
     }},
    {"logit_bias", kBoth, ReadLogitBias},
    {"chat_template_kwargs", kTalk, ReadTemplateVariables},
    {"add_generation_prompt", kTalk, ReadGenerationPrompt},
    {"suffix", kText,
     [](const Json& value, Context&) { return WantOnly(value.AsString() == "", "suffix"); }},
    {"tools", kTalk,
     [](const Json& value, Context&) {
       return WantOnly(value.is_array() && value.items().empty(), "tools");
     }},
    {"tool_choice", kTalk,
     [](const Json& value, Context&) {
       return WantOnly(value.AsString() == "none", "tool_choice");
     }},
    {"response_format", kTalk,
     [](const Json& value, Context&) {
       const Json* type = value.is_object() ? value.Find("type") : nullptr;
       return WantOnly(type != nullptr && type->AsString() == "text", "response_format");
     }},
    {"parallel_tool_calls", kTalk, Ignore},
    {"metadata", kTalk, Ignore},
    {"store", kTalk, Ignore},
    {"service_tier", kTalk, Ignore},
    {"safety_identifier", kTalk, Ignore},
    {"prompt_cache_key", kTalk, Ignore},
    {"user", kBoth, Ignore},
};

const Member* FindMember(Endpoint endpoint, std::string_view name) {
  const uint8_t bit = endpoint == Endpoint::kChat ? kTalk : kText;
  for (const Member& member : kMembers) {
    if (member.name == name && (member.endpoints & bit) != 0) return &member;
  }
  return nullptr;
}

Error UnknownMember(Endpoint endpoint, const std::string& name) {
  std::vector<std::string> known;
  const uint8_t bit = endpoint == Endpoint::kChat ? kTalk : kText;
  for (const Member& member : kMembers) {
    if ((member.endpoints & bit) != 0) known.emplace_back(member.name);
  }
  const std::string near = NearestSpelling(name, known);
  return MemberError("API-unknown-member", Escape(name),
                     fmt::format("a request has no member {}", Quote(name)),
                     near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

}  // namespace

Result<ApiRequest> ParseApiRequest(Endpoint endpoint, std::string_view body) {
  JsonLimits limits;
  limits.max_depth = 16;
  auto json = ParseJson(body, limits);
  if (!json.ok()) {
    const Error& error = json.error();
    return InputError("API-json",
                      fmt::format("the body is no JSON: {}{}", error.message,
                                  error.offset ? fmt::format(" (at byte {})", *error.offset) : ""));
  }
  if (!json->is_object())
    return InputError("API-json",
                      fmt::format("the body is a JSON {}, wanted an object", json->KindName()));
  ApiRequest request;
  request.endpoint = endpoint;
  request.sampling.temperature = 1;  // the API's default
  Context context{*json, request};
  for (const auto& [key, value] : json->members()) {
    const Member* member = FindMember(endpoint, key);
    if (member == nullptr) return UnknownMember(endpoint, key);
    if (!value.is_null()) SLIM_TRY(member->read(value, context));
  }
  if (endpoint == Endpoint::kChat && request.messages.is_null())
    return MemberError("API-member", "messages", "'messages' is missing");
  if (endpoint == Endpoint::kCompletions && request.prompts.empty())
    return MemberError("API-member", "prompt", "'prompt' is missing");
  return request;
}

}  // namespace slim
