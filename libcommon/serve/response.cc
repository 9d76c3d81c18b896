#include "serve/response.h"

#include <algorithm>
#include <utility>

namespace slim {
namespace {

Json FinishJson(std::optional<StopReason> reason) {
  if (!reason) return {};
  return *reason == StopReason::kStop ? "stop" : "length";
}

Json RealOrNull(std::optional<double> value) { return value ? Json::Real(*value) : Json(); }

// Completions: four lists of the same length; offsets are characters of text before the token.
Json CompletionLogprobs(const std::vector<TokenLogprob>& tokens) {
  Json texts = Json::Array();
  Json values = Json::Array();
  Json tops = Json::Array();
  Json offsets = Json::Array();
  for (const TokenLogprob& token : tokens) {
    texts.Push(token.token);
    values.Push(RealOrNull(token.logprob));
    offsets.Push(token.offset);
    Json top = Json::Object();
    for (const auto& [text, value] : token.top) top.Set(text, Json::Real(value));
    if (token.logprob) top.Set(token.token, Json::Real(*token.logprob));
    tops.Push(token.logprob ? std::move(top) : Json());
  }
  Json json = Json::Object();
  json.Set("tokens", std::move(texts));
  json.Set("token_logprobs", std::move(values));
  json.Set("top_logprobs", std::move(tops));
  json.Set("text_offset", std::move(offsets));
  return json;
}

Json ChatToken(const std::string& token, std::optional<double> logprob) {
  Json json = Json::Object();
  json.Set("token", token);
  json.Set("logprob", RealOrNull(logprob));
  Json bytes = Json::Array();
  for (const char c : token) bytes.Push(static_cast<int>(static_cast<unsigned char>(c)));
  json.Set("bytes", std::move(bytes));
  return json;
}

Json ChatLogprobs(const std::vector<TokenLogprob>& tokens) {
  Json content = Json::Array();
  for (const TokenLogprob& token : tokens) {
    Json item = ChatToken(token.token, token.logprob);
    Json tops = Json::Array();
    for (const auto& [text, value] : token.top) tops.Push(ChatToken(text, value));
    item.Set("top_logprobs", std::move(tops));
    content.Push(std::move(item));
  }
  Json json = Json::Object();
  json.Set("content", std::move(content));
  return json;
}

}  // namespace

Json UsageJson(TokenUsage usage) {
  Json json = Json::Object();
  json.Set("prompt_tokens", usage.prompt);
  json.Set("completion_tokens", usage.completion);
  json.Set("total_tokens", usage.prompt + usage.completion);
  return json;
}

ResponseWriter::ResponseWriter(const ApiRequest& request, std::string model, std::string id,
                               int64_t created)
    : endpoint_(request.endpoint),
      logprobs_(request.top_logprobs.has_value()),
      stream_usage_(request.stream_usage),
      model_(std::move(model)),
      id_(std::move(id)),
      created_(created) {}

ResponseWriter::Answer& ResponseWriter::AnswerOf(uint64_t choice) {
  if (answers_.size() <= choice) answers_.resize(choice + 1);
  return answers_[choice];
}

void ResponseWriter::Add(AnswerPiece piece) {
  Answer& answer = AnswerOf(piece.choice);
  answer.text += piece.text;
  std::move(piece.logprobs.begin(), piece.logprobs.end(), std::back_inserter(answer.logprobs));
  if (piece.finished) answer.finished = piece.finished;
}

Json ResponseWriter::Head(bool chunk) const {
  Json json = Json::Object();
  json.Set("id", id_);
  json.Set("object", endpoint_ == Endpoint::kCompletions ? "text_completion"
                     : chunk                             ? "chat.completion.chunk"
                                                         : "chat.completion");
  json.Set("created", created_);
  json.Set("model", model_);
  return json;
}

Json ResponseWriter::Logprobs(const std::vector<TokenLogprob>& tokens) const {
  if (!logprobs_) return {};
  return endpoint_ == Endpoint::kChat ? ChatLogprobs(tokens) : CompletionLogprobs(tokens);
}

Json ResponseWriter::Body(TokenUsage usage) const {
  Json choices = Json::Array();
  for (size_t i = 0; i < answers_.size(); ++i) {
    const Answer& answer = answers_[i];
    Json choice = Json::Object();
    choice.Set("index", i);
    if (endpoint_ == Endpoint::kChat) {
      Json message = Json::Object();
      message.Set("role", "assistant");
      message.Set("content", answer.text);
      choice.Set("message", std::move(message));
    } else {
      choice.Set("text", answer.text);
    }
    choice.Set("logprobs", Logprobs(answer.logprobs));
    choice.Set("finish_reason", FinishJson(answer.finished));
    choices.Push(std::move(choice));
  }
  Json json = Head(false);
  json.Set("choices", std::move(choices));
  json.Set("usage", UsageJson(usage));
  return json;
}

Json ResponseWriter::ChunkOf(Json choice) const {
  Json choices = Json::Array();
  choices.Push(std::move(choice));
  Json json = Head(true);
  json.Set("choices", std::move(choices));
  if (stream_usage_) json.Set("usage", Json());
  return json;
}

std::vector<Json> ResponseWriter::Chunks(const AnswerPiece& piece) {
  Answer& answer = AnswerOf(piece.choice);
  std::vector<Json> chunks;
  const auto choice = [&](Json content, Json logprobs, Json finish) {
    Json json = Json::Object();
    json.Set("index", piece.choice);
    json.Set(endpoint_ == Endpoint::kChat ? "delta" : "text", std::move(content));
    json.Set("logprobs", std::move(logprobs));
    json.Set("finish_reason", std::move(finish));
    chunks.push_back(ChunkOf(std::move(json)));
  };
  Json logprobs = piece.logprobs.empty() ? Json() : Logprobs(piece.logprobs);
  if (endpoint_ == Endpoint::kCompletions) {
    choice(piece.text, std::move(logprobs), FinishJson(piece.finished));
    return chunks;
  }
  if (!std::exchange(answer.begun, true)) {
    Json role = Json::Object();
    role.Set("role", "assistant");
    role.Set("content", "");
    choice(std::move(role), Json(), Json());
  }
  if (!piece.text.empty() || !logprobs.is_null()) {
    Json delta = Json::Object();
    delta.Set("content", piece.text);
    choice(std::move(delta), std::move(logprobs), Json());
  }
  if (piece.finished) choice(Json::Object(), Json(), FinishJson(piece.finished));
  return chunks;
}

Json ResponseWriter::UsageChunk(TokenUsage usage) const {
  Json json = Head(true);
  json.Set("choices", Json::Array());
  json.Set("usage", UsageJson(usage));
  return json;
}

}  // namespace slim
