// Continuous batching: every step computes one more token of all running sequences in one pass over
// the weights; between steps a waiting prompt is taken in, part by part. What a request gets does
// not depend on what else runs. One thread computes (Run); any thread may submit.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "run/model.h"
#include "run/text_model.h"
#include "serve/answer_stream.h"
#include "serve/choice.h"
#include "serve/metrics.h"

namespace slim {

struct SchedulerLimits {
  uint64_t max_sequences = 8;  // that run at once; a prompt starts with room for all its answers
  uint64_t max_waiting = 256;  // prompts in the queue
};

// A checked request as the scheduler takes it.
struct GenerationRequest {
  struct Prompt {
    std::vector<int32_t> ids;  // not empty, fewer than the context
    std::string text;          // what echo shows
  };
  std::vector<Prompt> prompts;
  uint64_t choices = 1;  // of each prompt; answer p · choices + i is answer i of prompt p
  // Of answer 0; the others have their index and the next seeds.
  ChoiceOptions options;  // max_tokens 0: the prompt is only evaluated
  bool echo = false;
};

class Scheduler {
 public:
  Scheduler(const Model& model, const TextModel& text, const SchedulerLimits& limits,
            Metrics& metrics);
  ~Scheduler();

  // API-busy when the queue is full, API-shutdown after Stop().
  Result<std::shared_ptr<AnswerStream>> Submit(GenerationRequest request);
  // Computes until Stop() was called and nothing is left to do.
  void Run();
  // Takes nothing new; what is there is finished.
  void Stop();

 private:
  struct Active;   // a request
  struct Job;      // one of its prompts
  struct Running;  // one of its answers

  bool WaitForWork();
  void Drop();
  void TakeInPrompts();
  void PrefillPart();
  Status EvaluatePart(std::span<const int32_t> part, bool last);
  void AddPromptToken(TokenLogprob token, int32_t id);
  void StartAnswers();
  void DecodeStep();
  void Emit(Running& running, std::span<const float> logits);
  void FinishAnswer(Active& active);
  void Fail(Active& active, Error error);

  const Model& model_;
  const TextModel& text_;
  const SchedulerLimits limits_;
  Metrics& metrics_;

  std::mutex mutex_;  // of the two below
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Job>> waiting_;
  bool stopping_ = false;

  // Of the computing thread alone.
  std::unique_ptr<Job> job_;  // whose prompt is being taken in
  Sequence prefill_;
  std::vector<float> logits_;
  std::vector<std::unique_ptr<Running>> running_;
  DecodeBatch batch_;
};

}  // namespace slim
