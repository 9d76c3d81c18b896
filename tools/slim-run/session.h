// One run of slim-run: a model loaded, prompts answered or measured, and what comes of it printed.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "cli/console.h"
#include "options.h"
#include "parallel/thread_pool.h"
#include "run/model.h"
#include "run/text_model.h"
#include "text/choice_questions.h"

namespace slim {

class Session {
 public:
  Session(const RunCommand& command, Console& console)
      : command_(command), console_(console), pool_(command.threads) {}
  // Loads the model and does what the command says: the exit code.
  Result<int> Run();

 private:
  Status Load();
  // The weights fit the memory there is.
  Status CheckMemory(const ModelConfig& config) const;
  // The hint says which loaders take a type that cannot be computed.
  Error WithLoaders(Error error) const;
  Status CheckKvCache(const ModelConfig& config) const;
  Status AnswerPrompt();
  Status AnswerInput();
  Status AnswerBatch(class PromptInput& input);
  Status Converse();
  Status ReportPerplexity();
  Status ReportChoices();
  Status ReportSpeed();
  Status Serve();

  // Tokens of a prompt or of one user message.
  Result<std::vector<int32_t>> Encode(const std::string& text, const std::string& source) const;
  // Tokens of a question with each of its choices.
  Result<TokenizedQuestion> EncodeQuestion(const ChoiceQuestion& question) const;
  Json FirstMessages() const;  // the system message, if there is one
  // Generates and prints. `json`: as an object, else as text while it comes.
  Result<Answer> Complete(std::vector<int32_t> prompt, Sequence& sequence, bool json);
  Status CheckExpectation(Answer& answer);
  Status WriteLogits(const Generated& generated) const;

  const RunCommand& command_;
  Console& console_;
  ThreadPool pool_;
  std::optional<Checkpoint> checkpoint_;
  std::optional<TextModel> text_;
  std::optional<Model> model_;
  GenerationOptions generation_;
  std::optional<HttpServer> server_;
  std::unique_ptr<LayerDump> dump_;
  bool expectation_failed_ = false;
};

}  // namespace slim
