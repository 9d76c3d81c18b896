#include "session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "input.h"
#include "kernels/isa.h"
#include "model/modules.h"
#include "model/open_to_compute.h"
#include "os/memory.h"
#include "os/path_guard.h"
#include "run/logits_file.h"
#include "run/memory_estimate.h"
#include "verify/loader_judge.h"

namespace slim {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n";

std::string_view TrimStart(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kWhiteSpace), text.size()));
}

Json Message(std::string_view role, std::string_view content) {
  Json message = Json::Object();
  message.Set("role", role);
  message.Set("content", content);
  return message;
}

// "llama W8A8", "qwen2 BF16".
std::string TypeOf(const Checkpoint& checkpoint, const ModelConfig& config) {
  const QuantDescription* description = checkpoint.description();
  const Json* type = description == nullptr ? nullptr : description->Global("model_quant_type");
  if (type != nullptr && type->is_string())
    return fmt::format("{} {}", config.model_type, type->text());
  if (checkpoint.traits().is_foreign)
    return fmt::format("{} {}", config.model_type, checkpoint.traits().name);
  return fmt::format("{} {}", config.model_type, config.dtype ? DTypeName(*config.dtype) : "FLOAT");
}

// "mindie-atb, mindspore": the loaders that know a type.
std::string LoadersOf(std::string_view label) {
  LoaderSet set = 0;
  for (const LoaderVersionRow& row : LoaderVersions()) {
    if (FindType(row.id, label, false) != nullptr || FindType(row.id, label, true) != nullptr)
      set |= BitOf(row.id);
  }
  return Join(NamesOf(set), ", ");
}

}  // namespace

Error Session::WithLoaders(Error error) const {
  if (error.rule != "RUN-unsupported-type") return error;
  const std::string_view module = std::string_view(error.tensor).substr(0, error.tensor.rfind('.'));
  const auto scheme = checkpoint_->SchemeOf(module);
  const std::string loaders = scheme.ok() ? LoadersOf(SchemeLabel(*scheme)) : "";
  error.hint += loaders.empty() ? "; no loader that slim knows takes this type"
                                : fmt::format("; {} can load this type", loaders);
  return error;
}

Status Session::CheckMemory(const ModelConfig& config) const {
  const uint64_t available = command_.max_memory > 0 ? command_.max_memory : AvailableMemory();
  if (command_.stream || available == 0) return {};
  SLIM_ASSIGN(const uint64_t needed, EstimateWeightBytes(*checkpoint_, config, command_.backend));
  if (needed <= available) return {};
  Error error = InternalError(fmt::format("the weights need {} of memory, {} may be used",
                                          HumanSize(needed), HumanSize(available)));
  error.rule = "RUN-memory";
  error.hint = command_.max_memory > 0
                   ? "--stream holds one block at a time"
                   : "--stream holds one block at a time; --max-memory SIZE to try all the same";
  return std::move(error).WithPath(command_.model);
}

Status Session::Load() {
  if (command_.mode == RunCommand::Mode::kServe) {
    server_.emplace(command_.http);
    SLIM_TRY(server_->Bind());
  }
  if (!command_.logits.empty()) SLIM_TRY(CheckFileAbsent(command_.logits, command_.write));
  for (const std::string* output : {&command_.logits, &command_.dump}) {
    if (!output->empty()) SLIM_TRY(CheckOutputApart(command_.model, *output));
  }
  auto opened = OpenToCompute(command_.model);
  if (!opened.ok() && opened.error().rule == "CK-unsupported-dialect") {
    return std::move(opened).error().WithHint(
        "the engine that it was made for loads it; slim runs the float model, and the layouts of "
        "'slim-convert --list'");
  }
  if (!opened.ok()) return std::move(opened).error();
  checkpoint_.emplace(std::move(*opened));
  for (const std::string& note : checkpoint_->made_notes()) console_.Note(note);
  SLIM_ASSIGN(const ModelConfig config, ReadModelConfig(*checkpoint_));
  SLIM_TRY(CheckKvCache(config));
  SLIM_TRY(CheckMemory(config));
  if (command_.mode != RunCommand::Mode::kBench) {
    SLIM_ASSIGN(text_, TextModel::Load(*checkpoint_, config));
  }
  if (!command_.dump.empty()) {
    SLIM_ASSIGN(dump_, LayerDump::Create(command_.dump, command_.dump_format, config,
                                         command_.write, console_));
  }
  auto model = Model::Load(*checkpoint_, command_.backend, pool_, console_,
                           command_.stream ? BlockStorage::kStreamed : BlockStorage::kResident);
  if (!model.ok()) return WithLoaders(std::move(model).error());
  model_.emplace(std::move(*model));
  model_->set_phase(command_.phase);
  model_->set_observer(dump_.get());
  model_->set_kv_cache(command_.kv_cache);
  model_->set_float_inputs(command_.float_inputs);
  generation_ = command_.generation;
  generation_.context = command_.context.value_or(config.max_position);
  if (text_) generation_.stop_tokens = text_->stop_tokens();
  if (generation_.context > config.max_position) {
    console_.Warning(fmt::format("the context of {} positions is beyond the {} of config.json",
                                 generation_.context, config.max_position));
  }
  return {};
}

Status Session::CheckKvCache(const ModelConfig& config) const {
  const std::string name = BlockPrefix(config, 0) + ".self_attn.k_proj.kv_cache_scale";
  if (!command_.needs_kv_scales || checkpoint_->Find(name) != nullptr) return {};
  return InputError("RUN-kv-scale",
                    fmt::format("has no tensor {}, which --kv-cache c8 needs", Quote(name)),
                    "quantize with slim-quant --kv-cache c8")
      .WithPath(command_.model);
}

Result<int> Session::Run() {
  SLIM_TRY(Load());
  switch (command_.mode) {
    case RunCommand::Mode::kPrompt:
      SLIM_TRY(AnswerPrompt());
      break;
    case RunCommand::Mode::kInput:
      SLIM_TRY(AnswerInput());
      break;
    case RunCommand::Mode::kConversation:
      SLIM_TRY(Converse());
      break;
    case RunCommand::Mode::kPerplexity:
      SLIM_TRY(ReportPerplexity());
      break;
    case RunCommand::Mode::kChoices:
      SLIM_TRY(ReportChoices());
      break;
    case RunCommand::Mode::kBench:
      SLIM_TRY(ReportSpeed());
      break;
    case RunCommand::Mode::kServe:
      SLIM_TRY(Serve());
      break;
  }
  return expectation_failed_ ? 1 : 0;
}

Json Session::FirstMessages() const {
  Json messages = Json::Array();
  if (command_.system) messages.Push(Message("system", *command_.system));
  return messages;
}

Result<std::vector<int32_t>> Session::Encode(const std::string& text,
                                             const std::string& source) const {
  // Also where the tokenizer would put a first token before nothing: as a rule it is an input that
  // somebody else failed to write.
  if (text.empty())
    return InputError("RUN-empty-prompt", "is empty: there is nothing to go on from")
        .WithPath(source);
  if (!command_.chat) return text_->EncodePrompt(text, source);
  if (!IsUtf8(text)) return text_->EncodePrompt(text, source);  // its error names the source
  Json messages = FirstMessages();
  messages.Push(Message("user", text));
  return text_->EncodeChat(messages);
}

Status Session::AnswerPrompt() {
  SLIM_ASSIGN(std::vector<int32_t> prompt, Encode(command_.text, "the prompt"));
  Sequence sequence(model_->config());
  SLIM_TRY(Complete(std::move(prompt), sequence, console_.json()));
  return {};
}

Status Session::AnswerInput() {
  SLIM_ASSIGN(PromptInput input, PromptInput::Open(command_.path));
  SLIM_ASSIGN(const bool batch, input.IsBatch());
  if (batch) return AnswerBatch(input);
  SLIM_ASSIGN(const std::string text, input.Text());
  SLIM_ASSIGN(std::vector<int32_t> prompt, Encode(text, input.name()));
  Sequence sequence(model_->config());
  SLIM_TRY(Complete(std::move(prompt), sequence, console_.json()));
  return {};
}

Status Session::AnswerBatch(PromptInput& input) {
  if (!command_.logits.empty())
    return UsageError("--logits takes one prompt, the input is a batch");
  if (dump_ != nullptr) return UsageError("--dump-layers takes one prompt, the input is a batch");
  while (true) {
    SLIM_ASSIGN(const std::optional<Request> request, input.Next());
    if (!request) return {};
    std::vector<int32_t> prompt;
    if (request->messages) {
      SLIM_ASSIGN(prompt, text_->EncodeChat(*request->messages));
    } else {
      SLIM_ASSIGN(prompt, Encode(request->prompt, input.name()));
    }
    Sequence sequence(model_->config());
    SLIM_TRY(Complete(std::move(prompt), sequence, true));
  }
}

Status Session::Converse() {
  SLIM_ASSIGN(PromptInput input, PromptInput::Open("-"));
  Json messages = FirstMessages();
  Sequence sequence(model_->config());
  std::vector<int32_t> held;  // what the sequence has taken
  while (true) {
    SLIM_ASSIGN(const std::optional<std::string> line, input.NextLine());
    if (!line) return {};
    if (!IsUtf8(*line)) return text_->EncodePrompt(*line, input.name()).error();
    messages.Push(Message("user", Trim(*line)));
    SLIM_ASSIGN(const std::vector<int32_t> prompt, text_->EncodeChat(messages));
    // What both begin with need not be computed again, but the last token must be. Rotations of a
    // dynamic table depend on the length, so nothing is kept then.
    const auto common = static_cast<uint64_t>(
        std::mismatch(held.begin(), held.end(), prompt.begin(), prompt.end()).first - held.begin());
    if (model_->config().rope.kind == RopeKind::kDynamic || common == 0) {
      sequence.Clear(model_->config());
    } else {
      sequence.Truncate(std::min({common, prompt.size() - 1, sequence.length()}));
    }
    SLIM_ASSIGN(const Answer answer, Complete(prompt, sequence, console_.json()));
    held = prompt;
    held.insert(held.end(), answer.token_ids.begin(), answer.token_ids.end());
    messages.Push(Message("assistant", answer.text));
  }
}

Result<Answer> Session::Complete(std::vector<int32_t> prompt, Sequence& sequence, bool json) {
  std::span<const int32_t> taken = prompt;
  if (command_.truncate) taken = TruncatePrompt(prompt, generation_);
  if (taken.size() < prompt.size()) {
    sequence.Clear(model_->config());
    console_.Warning(fmt::format("the prompt's first {} of {} tokens were dropped",
                                 prompt.size() - taken.size(), prompt.size()));
  }
  Answer answer;
  answer.prompt_tokens = taken.size();
  StreamDecoder decoder(text_->tokenizer(), !command_.special);
  const auto emit = [&](const std::string& piece) -> Status {
    answer.text += piece;
    if (json || piece.empty()) return {};
    SLIM_TRY(console_.Print(piece));
    return console_.Flush();
  };
  const auto on_token = [&](int32_t id) -> Status {
    const auto& stops = generation_.stop_tokens;
    if (!command_.special && std::find(stops.begin(), stops.end(), id) != stops.end()) return {};
    // An embedding may have more rows than the tokenizer has tokens; such an id has no text.
    if (text_->tokenizer().TokenText(id).empty()) return {};
    SLIM_ASSIGN(const std::string piece, decoder.Push(id));
    return emit(piece);
  };
  SLIM_ASSIGN(Generated generated, Generate(*model_, taken, sequence, generation_, on_token));
  SLIM_ASSIGN(const std::string rest, decoder.Finish());
  SLIM_TRY(emit(rest));
  answer.token_ids = std::move(generated.token_ids);
  answer.finish_reason = generated.finish_reason;
  if (!json && generation_.max_new_tokens > 0) {
    SLIM_TRY(console_.Print("\n"));
    SLIM_TRY(console_.Flush());  // the line is whole before stderr speaks of it
  }
  SLIM_TRY(CheckExpectation(answer));
  if (json) SLIM_TRY(console_.Print(DumpJson(AnswerJson(answer), {.ensure_ascii = false}) + "\n"));
  SLIM_TRY(console_.Flush());
  if (!command_.logits.empty()) SLIM_TRY(WriteLogits(generated));
  if (dump_ != nullptr) SLIM_TRY(dump_->Commit());
  return answer;
}

Status Session::CheckExpectation(Answer& answer) {
  if (!command_.expect) return {};
  answer.expectation_met = TrimStart(answer.text).starts_with(TrimStart(*command_.expect));
  if (*answer.expectation_met) return {};
  expectation_failed_ = true;
  console_.Note(fmt::format("the answer starts with {}, expected {}",
                            Quote(TrimStart(answer.text).substr(0, command_.expect->size() + 20)),
                            Quote(*command_.expect)));
  return {};
}

Status Session::WriteLogits(const Generated& generated) const {
  SLIM_ASSIGN(const std::string bytes, EncodeLogitsFile(generated.evaluated_ids, generated.logits));
  return WriteFileAtomically(command_.logits, bytes, command_.write);
}

Status Session::ReportPerplexity() {
  SLIM_ASSIGN(PromptInput input, PromptInput::Open(command_.path));
  SLIM_ASSIGN(const std::string text, input.Text());
  SLIM_ASSIGN(const std::vector<int32_t> ids, text_->EncodePlain(text, input.name()));
  if (command_.perplexity.window > generation_.context) {
    return UsageError(fmt::format("a window of {} tokens does not fit the context of {}",
                                  command_.perplexity.window, generation_.context),
                      "give a smaller --ppl-window or a larger --ctx");
  }
  auto result = MeasurePerplexity(
      *model_, ids, command_.perplexity, pool_,
      [&](uint64_t done, uint64_t total) { console_.Progress("windows", done, total); });
  if (!result.ok()) {
    Error error = std::move(result).error();
    return error.path.empty() ? std::move(error).WithPath(input.name()) : std::move(error);
  }
  return console_.Print(console_.json()
                            ? DumpJson(PerplexityJson(*result, command_.perplexity)) + "\n"
                            : PerplexityText(*result, command_.perplexity));
}

Result<TokenizedQuestion> Session::EncodeQuestion(const ChoiceQuestion& question) const {
  TokenizedQuestion result;
  result.label = question.label;
  result.line = question.line;
  std::string text = question.text;
  if (command_.chat) {
    Json messages = FirstMessages();
    messages.Push(Message("user", question.text));
    SLIM_ASSIGN(text, text_->ChatText(messages));
  }
  for (const std::string& choice : question.choices) {
    SLIM_ASSIGN(std::vector<int32_t> ids, command_.chat
                                              ? text_->EncodePlain(text + choice, command_.path)
                                              : text_->EncodePrompt(text + choice, command_.path));
    result.choices.push_back(std::move(ids));
    result.bytes.push_back(choice.size());
  }
  return result;
}

Status Session::ReportChoices() {
  SLIM_ASSIGN(PromptInput input, PromptInput::Open(command_.path));
  SLIM_ASSIGN(const std::string content, input.Text());
  SLIM_ASSIGN(const std::vector<ChoiceQuestion> questions,
              ParseChoiceQuestions(content, input.name()));
  std::vector<TokenizedQuestion> tokenized;
  for (const ChoiceQuestion& question : questions) {
    SLIM_ASSIGN(TokenizedQuestion ids, EncodeQuestion(question));
    tokenized.push_back(std::move(ids));
  }
  auto result = ScoreChoices(
      *model_, tokenized, generation_.context, command_.truncate,
      [&](uint64_t done, uint64_t total) { console_.Progress("questions", done, total); });
  if (!result.ok()) {
    Error error = std::move(result).error();
    return error.path.empty() ? std::move(error).WithPath(input.name()) : std::move(error);
  }
  return console_.Print(console_.json() ? DumpJson(ChoicesJson(*result)) + "\n"
                                        : ChoicesText(*result));
}

Status Session::Serve() {
  if (command_.quantization)
    console_.Note("--quantization means nothing here: the checkpoint says how it is quantized");
  ServiceOptions options = command_.service;
  options.context = generation_.context;
  Service service(*model_, *text_, options);
  const auto ready = [&]() -> Status {
    const std::string& host = command_.http.host;
    const bool v6 = host.find(':') != std::string::npos;
    const std::string url =
        fmt::format("http://{}:{}", v6 ? "[" + host + "]" : host, server_->port());
    console_.ClearProgress();
    console_.Note(fmt::format("serving {} at {}", Quote(options.model_name), url));
    if (!console_.json()) return {};
    Json json = Json::Object();
    json.Set("url", url);
    json.Set("model", options.model_name);
    SLIM_TRY(console_.Print(DumpJson(json) + "\n"));
    return console_.Flush();
  };
  SLIM_TRY(ServeUntilSignal(*server_, service, ready));
  console_.Note("every request is answered: done");
  return {};
}

Status Session::ReportSpeed() {
  BenchOptions options = command_.bench;
  options.context = generation_.context;
  SLIM_ASSIGN(const std::vector<BenchRow> rows,
              MeasureSpeed(*model_, options, [&](uint64_t done, uint64_t total) {
                console_.Progress("runs", done, total);
              }));
  const BenchSubject subject{command_.model,
                             TypeOf(*checkpoint_, model_->config()),
                             model_->bytes(),
                             command_.backend == Backend::kFast ? "fast" : "reference",
                             std::string(IsaName(CurrentIsa())),
                             pool_.threads()};
  return console_.Print(BenchReport(subject, rows, command_.table));
}

}  // namespace slim
