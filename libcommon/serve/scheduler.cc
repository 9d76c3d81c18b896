#include "serve/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace slim {
namespace {

using Clock = std::chrono::steady_clock;

// Prompt tokens whose rows of logits are held at once for the log probabilities of a prompt.
constexpr uint64_t kScoredPart = 64;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

struct Scheduler::Active {
  GenerationRequest request;
  std::shared_ptr<AnswerStream> stream;
  Clock::time_point arrival;
  TokenUsage usage;
  uint64_t answers_left = 0;
  bool over = false;

  bool ScoresPrompt() const { return request.echo && request.options.top_logprobs.has_value(); }
};

struct Scheduler::Job {
  std::shared_ptr<Active> active;
  size_t prompt = 0;
  size_t taken = 0;                    // tokens of it
  std::vector<TokenLogprob> logprobs;  // of the prompt, with echo
  uint64_t characters = 0;             // of its text that those tokens are

  const GenerationRequest::Prompt& source() const { return active->request.prompts[prompt]; }
};

struct Scheduler::Running {
  std::shared_ptr<Active> active;
  Sequence sequence;
  Choice choice;
  bool over = false;
};

Scheduler::Scheduler(const Model& model, const TextModel& text, const SchedulerLimits& limits,
                     Metrics& metrics)
    : model_(model), text_(text), limits_(limits), metrics_(metrics), prefill_(model.config()) {}

Scheduler::~Scheduler() = default;

Result<std::shared_ptr<AnswerStream>> Scheduler::Submit(GenerationRequest request) {
  auto active = std::make_shared<Active>();
  active->stream = std::make_shared<AnswerStream>();
  active->arrival = Clock::now();
  active->answers_left = request.prompts.size() * request.choices;
  for (const auto& prompt : request.prompts) active->usage.prompt += prompt.ids.size();
  active->request = std::move(request);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return InputError("API-shutdown", "the server is shutting down");
    const size_t prompts = active->request.prompts.size();
    if (waiting_.size() + prompts > limits_.max_waiting) {
      return InputError("API-busy",
                        fmt::format("{} prompts wait already, at most {} may", waiting_.size(),
                                    limits_.max_waiting),
                        "try again later");
    }
    for (size_t i = 0; i < prompts; ++i)
      waiting_.push_back(std::make_unique<Job>(Job{active, i, 0, {}, 0}));
    metrics_.waiting = waiting_.size();
  }
  changed_.notify_all();
  return active->stream;
}

void Scheduler::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

void Scheduler::Run() {
  while (WaitForWork()) {
    Drop();
    TakeInPrompts();
    if (job_ != nullptr) PrefillPart();
    if (!running_.empty()) DecodeStep();
    metrics_.running = running_.size();
  }
}

bool Scheduler::WaitForWork() {
  std::unique_lock lock(mutex_);
  const auto busy = [&] { return job_ != nullptr || !running_.empty() || !waiting_.empty(); };
  changed_.wait(lock, [&] { return stopping_ || busy(); });
  return busy();
}

// Forgets what nobody waits for.
void Scheduler::Drop() {
  const auto gone = [&](Active& active) {
    if (!active.over && active.stream->cancelled()) {
      active.over = true;
      ++metrics_.cancelled;
    }
    return active.over;
  };
  std::erase_if(running_,
                [&](const auto& running) { return running->over || gone(*running->active); });
  if (job_ != nullptr && gone(*job_->active)) job_ = nullptr;
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [&](const auto& job) { return gone(*job->active); });
  metrics_.waiting = waiting_.size();
}

void Scheduler::TakeInPrompts() {
  if (job_ != nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) return;
    const uint64_t answers = waiting_.front()->active->request.choices;
    if (!running_.empty() && running_.size() + answers > limits_.max_sequences) return;
    job_ = std::move(waiting_.front());
    waiting_.pop_front();
    metrics_.waiting = waiting_.size();
  }
  prefill_.Clear(model_.config());
  prefill_.Expect(job_->source().ids.size());
}

void Scheduler::AddPromptToken(TokenLogprob token, int32_t id) {
  token.offset = job_->characters;
  if (!text_.tokenizer().IsSpecial(id)) job_->characters += CountCharacters(token.token);
  job_->logprobs.push_back(std::move(token));
}

Status Scheduler::EvaluatePart(std::span<const int32_t> part, bool last) {
  const bool scored = job_->active->ScoresPrompt();
  const LogitRows rows = scored ? LogitRows::kAll : (last ? LogitRows::kLast : LogitRows::kNone);
  SLIM_TRY(model_.Prefill(part, prefill_, rows, logits_));
  if (!scored) return {};
  const std::vector<int32_t>& ids = job_->source().ids;
  const uint64_t vocabulary = model_.config().vocab_size;
  if (job_->logprobs.empty())
    AddPromptToken({TokenTextAlone(text_, ids[0]), std::nullopt, 0, {}}, ids[0]);
  // Row i of the part speaks of the token after it.
  for (size_t i = 0; i < part.size() && job_->taken + i + 1 < ids.size(); ++i) {
    const int32_t id = ids[job_->taken + i + 1];
    AddPromptToken(LogprobOf(text_, std::span(logits_).subspan(i * vocabulary, vocabulary), id,
                             *job_->active->request.options.top_logprobs),
                   id);
  }
  return {};
}

void Scheduler::PrefillPart() {
  const std::vector<int32_t>& ids = job_->source().ids;
  const uint64_t part = job_->active->ScoresPrompt() ? kScoredPart : Model::kPromptPart;
  const uint64_t count = std::min<uint64_t>(part, ids.size() - job_->taken);
  const bool last = job_->taken + count == ids.size();
  Status status = EvaluatePart(std::span(ids).subspan(job_->taken, count), last);
  if (!status.ok()) {
    Fail(*job_->active, std::move(status).error());
    job_ = nullptr;
    return;
  }
  job_->taken += count;
  metrics_.prompt_tokens += count;
  if (!last) return;
  StartAnswers();
  job_ = nullptr;
}

void Scheduler::StartAnswers() {
  Active& active = *job_->active;
  const GenerationRequest& request = active.request;
  if (job_->prompt == 0) metrics_.first_token.Add(SecondsSince(active.arrival));
  const auto row = std::span<const float>(logits_).last(model_.config().vocab_size);
  for (uint64_t i = 0; i < request.choices && !active.over; ++i) {
    ChoiceOptions options = request.options;
    options.index = job_->prompt * request.choices + i;
    options.sampling.seed += options.index;
    options.characters_before = request.echo ? CountCharacters(job_->source().text) : 0;
    if (request.echo)
      active.stream->Push({options.index, job_->source().text, job_->logprobs, std::nullopt});
    if (options.max_tokens == 0) {
      active.stream->Push({options.index, "", {}, StopReason::kLength});
      FinishAnswer(active);
      continue;
    }
    auto running = std::make_unique<Running>(
        Running{job_->active, prefill_.Fork(), Choice(text_, options), false});
    Emit(*running, row);
    if (!running->over) running_.push_back(std::move(running));
  }
}

void Scheduler::Emit(Running& running, std::span<const float> logits) {
  Active& active = *running.active;
  auto piece = running.choice.Take(logits);
  ++metrics_.generated_tokens;
  ++active.usage.completion;
  if (!piece.ok()) {
    running.over = true;
    return Fail(active, std::move(piece).error());
  }
  running.over = piece->finished.has_value();
  if (!piece->text.empty() || !piece->logprobs.empty() || running.over)
    active.stream->Push(std::move(*piece));
  if (running.over) FinishAnswer(active);
}

void Scheduler::DecodeStep() {
  batch_.sequences.clear();
  batch_.tokens.clear();
  for (const auto& running : running_) {
    batch_.sequences.push_back(&running->sequence);
    batch_.tokens.push_back(running->choice.last_token());
  }
  Status status = model_.Decode(batch_);
  ++metrics_.decode_steps;
  const uint64_t vocabulary = model_.config().vocab_size;
  for (size_t i = 0; i < running_.size(); ++i) {
    Running& running = *running_[i];
    if (running.active->over) continue;
    const Status& one = status.ok() ? batch_.statuses[i] : status;
    if (one.ok()) {
      Emit(running, std::span(batch_.logits).subspan(i * vocabulary, vocabulary));
    } else {
      Fail(*running.active, one.error());
    }
  }
  std::erase_if(running_,
                [](const auto& running) { return running->over || running->active->over; });
}

void Scheduler::FinishAnswer(Active& active) {
  if (--active.answers_left > 0) return;
  active.over = true;
  metrics_.duration.Add(SecondsSince(active.arrival));
  active.stream->Finish(active.usage);
}

void Scheduler::Fail(Active& active, Error error) {
  if (active.over) return;
  active.over = true;
  active.stream->Fail(std::move(error));
}

}  // namespace slim
