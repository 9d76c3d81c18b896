// The bodies of answers as the OpenAI API defines them: a whole answer, and the chunks of a
// streamed one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "json/json.h"
#include "serve/answer_stream.h"
#include "serve/request.h"

namespace slim {

class ResponseWriter {
 public:
  // `id` is of this answer, `created` seconds since 1970.
  ResponseWriter(const ApiRequest& request, std::string model, std::string id, int64_t created);

  // Whole: every piece in order, then the body.
  void Add(AnswerPiece piece);
  Json Body(TokenUsage usage) const;

  // Streamed: the objects that a piece becomes; after the last piece the usage, if it was asked
  // for.
  std::vector<Json> Chunks(const AnswerPiece& piece);
  bool wants_usage_chunk() const { return stream_usage_; }
  Json UsageChunk(TokenUsage usage) const;

 private:
  struct Answer {
    std::string text;
    std::vector<TokenLogprob> logprobs;
    std::optional<StopReason> finished;
    bool begun = false;  // a chunk of it was written
  };
  Answer& AnswerOf(uint64_t choice);
  Json Head(bool chunk) const;
  Json ChunkOf(Json choice) const;
  Json Logprobs(const std::vector<TokenLogprob>& tokens) const;

  Endpoint endpoint_;
  bool logprobs_;
  bool stream_usage_;
  std::string model_;
  std::string id_;
  int64_t created_;
  std::vector<Answer> answers_;
};

// {"prompt_tokens", "completion_tokens", "total_tokens"}
Json UsageJson(TokenUsage usage);

}  // namespace slim
