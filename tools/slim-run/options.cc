#include "options.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/text.h"
#include "os/processors.h"

namespace slim {
namespace {

constexpr std::string_view kInputs = "Prompt";
constexpr std::string_view kGeneration = "Generation";
constexpr std::string_view kMeasuring = "Measuring";
constexpr std::string_view kServer = "Server";
constexpr int64_t kMany = 1LL << 32;

constexpr Flag kFlags[] = {
    {.name = "prompt",
     .kind = FlagKind::kText,
     .help = "the prompt; it goes in as it is",
     .value = "TEXT",
     .group = kInputs,
     .letter = 'p'},
    {.name = "file",
     .kind = FlagKind::kText,
     .help = "read the prompt, or one JSON object a line, from a file; - is standard input",
     .value = "FILE",
     .group = kInputs,
     .letter = 'f'},
    {.name = "chat",
     .help = "apply the checkpoint's chat template; without -p or -f every line of standard "
             "input is a message",
     .group = kInputs},
    {.name = "system",
     .kind = FlagKind::kText,
     .help = "system message of a chat",
     .value = "TEXT",
     .group = kInputs},
    {.name = "truncate",
     .help = "drop the beginning of a prompt that does not fit",
     .group = kInputs},
    {.name = "max-new-tokens",
     .kind = FlagKind::kInteger,
     .help = "tokens to generate at most; default 128",
     .value = "N",
     .group = kGeneration,
     .letter = 'n',
     .minimum = 0,
     .maximum = kMany},
    {.name = "temperature",
     .kind = FlagKind::kReal,
     .help = "sample at this temperature; default 0, the most probable token",
     .value = "T",
     .group = kGeneration},
    {.name = "top-p",
     .kind = FlagKind::kReal,
     .help = "sample from the most probable tokens that together reach P",
     .value = "P",
     .group = kGeneration},
    {.name = "top-k",
     .kind = FlagKind::kInteger,
     .help = "sample from the K most probable tokens",
     .value = "K",
     .group = kGeneration,
     .minimum = 1,
     .maximum = kMany},
    {.name = "seed",
     .kind = FlagKind::kInteger,
     .help = "of the sampling; default 0",
     .value = "S",
     .group = kGeneration,
     .minimum = 0},
    {.name = "ctx",
     .kind = FlagKind::kInteger,
     .help = "positions at most (or --max-model-len); default max_position_embeddings of "
             "config.json",
     .value = "N",
     .group = kGeneration,
     .aliases = "max-model-len",
     .minimum = 1,
     .maximum = kMany},
    {.name = "special", .help = "show special tokens in the text", .group = kGeneration},
    {.name = "expect",
     .kind = FlagKind::kText,
     .help = "exit 1 unless the answer starts with TEXT, leading white space aside",
     .value = "TEXT",
     .group = kGeneration},
    {.name = "backend",
     .kind = FlagKind::kChoice,
     .help = "fast (default), or reference: the same bits on every machine",
     .group = kGeneration,
     .choices = "fast reference"},
    {.name = "compute",
     .kind = FlagKind::kChoice,
     .help = "fp32 (default), or model: inputs of bf16 and fp16 weights are rounded to their dtype",
     .group = kGeneration,
     .choices = "fp32 model"},
    {.name = "stream",
     .help = "hold one block in memory at a time: for models larger than memory, slow",
     .group = kGeneration},
    {.name = "max-memory",
     .kind = FlagKind::kSize,
     .help = "refuse a model whose weights need more; default what is available",
     .value = "SIZE",
     .group = kGeneration},
    {.name = "phase",
     .kind = FlagKind::kChoice,
     .help = "how W8A8_MIX computes: auto (default) takes prompts as prefill, new tokens as decode",
     .group = kGeneration,
     .choices = "auto prefill decode"},
    {.name = "kv-cache",
     .kind = FlagKind::kChoice,
     .help = "how keys and values are kept: auto (default) is c8 where the checkpoint has scales "
             "for it, else fp32",
     .group = kGeneration,
     .choices = "auto c8 bf16 fp32"},
    {.name = "ppl",
     .kind = FlagKind::kText,
     .help = "perplexity of the text in FILE; - is standard input",
     .value = "FILE",
     .group = kMeasuring},
    {.name = "ppl-window",
     .kind = FlagKind::kInteger,
     .help = "tokens of a window; default 256",
     .value = "N",
     .group = kMeasuring,
     .minimum = 2,
     .maximum = kMany},
    {.name = "ppl-windows",
     .kind = FlagKind::kInteger,
     .help = "windows at most; default all",
     .value = "N",
     .group = kMeasuring,
     .minimum = 1,
     .maximum = kMany},
    {.name = "choices",
     .kind = FlagKind::kText,
     .help = "accuracy on the multiple-choice questions in FILE (JSON lines, or CSV of C-Eval)",
     .value = "FILE",
     .group = kMeasuring},
    {.name = "logits",
     .kind = FlagKind::kText,
     .help = "write input_ids and logits of every token that was computed (safetensors)",
     .value = "FILE",
     .group = kMeasuring},
    {.name = "dump-layers",
     .kind = FlagKind::kText,
     .help = "write inputs and outputs of every linear and block into DIR",
     .value = "DIR",
     .group = kMeasuring},
    {.name = "dump-format",
     .kind = FlagKind::kChoice,
     .help = "safetensors (default), or msit: the folders that msit llm compare reads",
     .group = kMeasuring,
     .choices = "safetensors msit"},
    {.name = "force",
     .help = "replace what --logits or --dump-layers finds in its place",
     .group = kMeasuring},
    {.name = "bench",
     .help = "measure tokens a second of prompt processing and generation",
     .group = kMeasuring},
    {.name = "bench-prompt",
     .kind = FlagKind::kInteger,
     .help = "tokens of the prompt test; default 512, 0: no such test",
     .value = "N",
     .group = kMeasuring,
     .minimum = 0,
     .maximum = kMany},
    {.name = "bench-tokens",
     .kind = FlagKind::kInteger,
     .help = "tokens of the generation test; default 128, 0: no such test",
     .value = "N",
     .group = kMeasuring,
     .minimum = 0,
     .maximum = kMany},
    {.name = "bench-repeat",
     .kind = FlagKind::kInteger,
     .help = "repetitions of each test; default 3",
     .value = "N",
     .group = kMeasuring,
     .minimum = 1,
     .maximum = 1000},
    {.name = "bench-format",
     .kind = FlagKind::kChoice,
     .help = "format of the table; default text",
     .group = kMeasuring,
     .choices = "text json csv markdown"},
    {.name = "serve",
     .help =
         "answer requests of the OpenAI API over HTTP until a signal; also: slim-run serve MODEL",
     .group = kServer},
    {.name = "host",
     .kind = FlagKind::kText,
     .help = "address to listen at; default 127.0.0.1, others need --api-key or --insecure",
     .value = "ADDRESS",
     .group = kServer},
    {.name = "port",
     .kind = FlagKind::kInteger,
     .help = "port to listen at; default 8000, 0: any free one",
     .value = "N",
     .group = kServer,
     .minimum = 0,
     .maximum = 65535},
    {.name = "served-model-name",
     .kind = FlagKind::kText,
     .help = "how requests name the model; default the last part of MODEL",
     .value = "NAME",
     .group = kServer},
    {.name = "api-key",
     .kind = FlagKind::kText,
     .help = "serve only who sends this key; default the environment's SLIM_API_KEY",
     .value = "KEY",
     .group = kServer},
    {.name = "insecure", .help = "serve other machines without a key", .group = kServer},
    {.name = "max-num-seqs",
     .kind = FlagKind::kInteger,
     .help = "answers computed at once; default 8",
     .value = "N",
     .group = kServer,
     .minimum = 1,
     .maximum = 1024},
    {.name = "max-waiting",
     .kind = FlagKind::kInteger,
     .help = "prompts that may wait; beyond, a request gets status 429; default 256",
     .value = "N",
     .group = kServer,
     .minimum = 1,
     .maximum = 1000000},
    {.name = "max-body",
     .kind = FlagKind::kSize,
     .help = "largest body of a request; default 16MiB",
     .value = "SIZE",
     .group = kServer},
    {.name = "quantization",
     .kind = FlagKind::kText,
     .help = "accepted, the checkpoint says how it is quantized",
     .value = "NAME",
     .group = kServer,
     .hidden = true},
};

constexpr Operand kOperands[] = {
    {.name = "MODEL", .help = "checkpoint directory, float or quantized"},
    {.name = "-", .help = "read standard input, as --file - does", .required = false}};

constexpr Command kCommands[] = {{.synopsis = "MODEL [-p TEXT | --chat | -f FILE | -] [options]",
                                  .summary = "run a checkpoint on this machine's processor",
                                  .flags = kFlags,
                                  .operands = kOperands},
                                 {.name = "serve",
                                  .synopsis = "MODEL [options]",
                                  .summary = "the same as --serve",
                                  .flags = kFlags,
                                  .operands = kOperands}};

Error Together(std::string_view a, std::string_view b) {
  return UsageError(fmt::format("{} and {} do not go together", a, b));
}

// Which of the inputs was named, if any; two are a contradiction.
Result<std::string> ChooseInput(const Arguments& arguments) {
  std::string chosen;
  std::vector<std::string> given;
  if (arguments.command().name == "serve") given.emplace_back("serve");
  for (const char* flag : {"serve", "prompt", "file", "ppl", "choices", "bench"}) {
    if (arguments.Has(flag)) given.push_back(arguments.SpelledAs(flag));
  }
  if (arguments.operands().size() > 1) given.emplace_back("-");
  if (given.size() > 1) return Together(given[0], given[1]);
  if (arguments.Has("serve") || arguments.command().name == "serve") return std::string("serve");
  if (arguments.Has("prompt")) return std::string("prompt");
  if (arguments.Has("ppl")) return std::string("ppl");
  if (arguments.Has("choices")) return std::string("choices");
  if (arguments.Has("bench")) return std::string("bench");
  if (!given.empty()) return std::string("file");
  if (arguments.Has("chat")) return std::string("chat");
  return UsageError(
      "nothing to do",
      "give -p TEXT, -f FILE, -, --chat, --ppl FILE, --choices FILE, --bench or --serve");
}

Status ReadInput(const Arguments& arguments, RunCommand& command) {
  SLIM_ASSIGN(const std::string input, ChooseInput(arguments));
  if (arguments.operands().size() > 1 && arguments.operands()[1] != "-") {
    return UsageError(fmt::format("unexpected word '{}'", arguments.operands()[1]),
                      "give a prompt with -p TEXT");
  }
  if (input == "prompt") {
    command.mode = RunCommand::Mode::kPrompt;
    command.text = arguments.Text("prompt");
  } else if (input == "file") {
    command.mode = RunCommand::Mode::kInput;
    command.path = arguments.Text("file", "-");
  } else if (input == "ppl") {
    command.mode = RunCommand::Mode::kPerplexity;
    command.path = arguments.Text("ppl");
  } else if (input == "choices") {
    command.mode = RunCommand::Mode::kChoices;
    command.path = arguments.Text("choices");
  } else if (input == "serve") {
    command.mode = RunCommand::Mode::kServe;
  } else {
    command.mode = input == "bench" ? RunCommand::Mode::kBench : RunCommand::Mode::kConversation;
  }
  return {};
}

// The last part of a path: "models/qwen/" → "qwen".
std::string LastPart(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path.substr(path.rfind('/') + 1);
}

Status ReadServer(const Arguments& arguments, RunCommand& command) {
  HttpOptions& http = command.http;
  ServiceOptions& service = command.service;
  command.quantization = arguments.Has("quantization");
  http.host = arguments.Text("host", http.host);
  http.port = static_cast<uint16_t>(arguments.Integer("port", http.port));
  http.max_body = arguments.Size("max-body", http.max_body);
  service.model_name = arguments.Text("served-model-name", LastPart(command.model));
  const char* key = std::getenv("SLIM_API_KEY");
  service.api_key = arguments.Text("api-key", key == nullptr ? "" : key);
  service.first_seed = static_cast<uint64_t>(arguments.Integer("seed", 0));
  service.limits.max_sequences = static_cast<uint64_t>(
      arguments.Integer("max-num-seqs", static_cast<int64_t>(service.limits.max_sequences)));
  service.limits.max_waiting = static_cast<uint64_t>(
      arguments.Integer("max-waiting", static_cast<int64_t>(service.limits.max_waiting)));
  if (arguments.Has("api-key") && service.api_key.empty())
    return UsageError("--api-key is empty", "give a key, or leave it out");
  if (arguments.Has("served-model-name") && service.model_name.empty())
    return UsageError("--served-model-name is empty");
  if (IsLoopback(http.host) || !service.api_key.empty() || arguments.Has("insecure")) return {};
  return UsageError(fmt::format("--host {} lets other machines ask", Quote(http.host)),
                    "give --api-key KEY, or --insecure if that is meant");
}

Status ReadSampling(const Arguments& arguments, bool serve, SamplingOptions& sampling) {
  sampling.temperature = arguments.Real("temperature", 0);
  sampling.top_p = arguments.Real("top-p", 1);
  sampling.top_k = static_cast<uint64_t>(arguments.Integer("top-k", 0));
  sampling.seed = static_cast<uint64_t>(arguments.Integer("seed", 0));
  if (sampling.temperature < 0) {
    return UsageError("--temperature is negative", "0 takes the most probable token");
  }
  if (sampling.top_p <= 0 || sampling.top_p > 1)
    return UsageError("--top-p is not above 0 and at most 1");
  for (const char* flag : {"top-p", "top-k", "seed"}) {
    if (!arguments.Has("temperature") && arguments.Has(flag) && !serve) {
      return UsageError(fmt::format("{} needs a --temperature above 0", arguments.SpelledAs(flag)),
                        "without one the most probable token is taken");
    }
  }
  return {};
}

// Flags of one use given with another would be ignored in silence.
Status CheckUse(const Arguments& arguments, const RunCommand& command) {
  const auto refuse = [&](std::initializer_list<const char*> flags, bool wanted,
                          std::string_view use) -> Status {
    for (const char* flag : flags) {
      if (arguments.Has(flag) && !wanted) {
        return UsageError(fmt::format("{} is only for {}", arguments.SpelledAs(flag), use));
      }
    }
    return {};
  };
  using Mode = RunCommand::Mode;
  const bool serve = command.mode == Mode::kServe;
  const bool choices = command.mode == Mode::kChoices;
  const bool answers =
      !serve && !choices && command.mode != Mode::kPerplexity && command.mode != Mode::kBench;
  SLIM_TRY(refuse({"chat", "truncate"}, answers || choices, "a prompt or --choices"));
  SLIM_TRY(refuse({"host", "port", "served-model-name", "api-key", "insecure", "max-num-seqs",
                   "max-waiting", "max-body", "quantization"},
                  serve, "--serve"));
  SLIM_TRY(refuse({"top-p", "top-k"}, !serve, "a prompt: requests name their own"));
  SLIM_TRY(refuse({"ppl-window", "ppl-windows"}, command.mode == Mode::kPerplexity, "--ppl"));
  SLIM_TRY(refuse({"bench-prompt", "bench-tokens", "bench-repeat", "bench-format"},
                  command.mode == Mode::kBench, "--bench"));
  SLIM_TRY(refuse({"max-new-tokens", "temperature", "special", "expect", "logits", "dump-layers"},
                  answers, "a prompt"));
  SLIM_TRY(refuse({"system"}, command.chat, "--chat"));
  const bool writes = !command.logits.empty() || !command.dump.empty();
  SLIM_TRY(refuse({"force"}, writes, "--logits and --dump-layers"));
  SLIM_TRY(refuse({"dump-format"}, !command.dump.empty(), "--dump-layers"));
  if (command.mode == Mode::kConversation && writes) {
    return UsageError(
        fmt::format("{} takes one prompt", command.dump.empty() ? "--logits" : "--dump-layers"),
        "give it with -p or -f");
  }
  return {};
}

void ReadMeasuring(const Arguments& arguments, RunCommand& command) {
  command.perplexity.window = static_cast<uint64_t>(arguments.Integer("ppl-window", 256));
  command.perplexity.max_windows = static_cast<uint64_t>(arguments.Integer("ppl-windows", 0));
  command.bench.prompt_tokens = static_cast<uint64_t>(arguments.Integer("bench-prompt", 512));
  command.bench.generated_tokens = static_cast<uint64_t>(arguments.Integer("bench-tokens", 128));
  command.bench.repetitions = static_cast<uint64_t>(arguments.Integer("bench-repeat", 3));
  const std::string format =
      arguments.Text("bench-format", arguments.Has("json") ? "json" : "text");
  command.table = format == "json"       ? TableFormat::kJson
                  : format == "csv"      ? TableFormat::kCsv
                  : format == "markdown" ? TableFormat::kMarkdown
                                         : TableFormat::kText;
}

}  // namespace

const Tool kRunTool = {
    .name = "slim-run", .summary = "run a checkpoint and show what it says", .commands = kCommands};

Result<RunCommand> ReadRunCommand(const Arguments& arguments) {
  RunCommand command;
  SLIM_ASSIGN(command.model, arguments.OperandAt(0));
  SLIM_TRY(ReadInput(arguments, command));
  const bool serve = command.mode == RunCommand::Mode::kServe;
  SLIM_TRY(ReadSampling(arguments, serve, command.generation.sampling));
  if (serve) SLIM_TRY(ReadServer(arguments, command));
  command.chat = arguments.Has("chat");
  if (arguments.Has("system")) command.system = arguments.Text("system");
  command.backend =
      arguments.Text("backend", "fast") == "reference" ? Backend::kReference : Backend::kFast;
  if (arguments.Text("compute") == "model") command.float_inputs = FloatInputs::kAsWeight;
  const std::string phase = arguments.Text("phase", "auto");
  if (phase != "auto")
    command.phase = phase == "decode" ? PhaseChoice::kDecode : PhaseChoice::kPrefill;
  const std::string cache = arguments.Text("kv-cache", "auto");
  command.needs_kv_scales = cache == "c8";
  if (cache == "fp32") command.kv_cache = KvCacheType::kFloat32;
  if (cache == "bf16") command.kv_cache = KvCacheType::kBf16;
  command.threads = static_cast<int>(arguments.Integer("threads", DefaultThreadCount()));
  if (arguments.Has("ctx")) command.context = static_cast<uint64_t>(arguments.Integer("ctx", 0));
  command.truncate = arguments.Has("truncate");
  command.stream = arguments.Has("stream");
  command.max_memory = arguments.Size("max-memory", 0);
  command.special = arguments.Has("special");
  if (arguments.Has("expect")) command.expect = arguments.Text("expect");
  command.logits = arguments.Text("logits");
  command.dump = arguments.Text("dump-layers");
  if (arguments.Text("dump-format", "safetensors") == "msit")
    command.dump_format = DumpFormat::kMsit;
  command.write.force = arguments.Has("force");
  command.generation.max_new_tokens =
      static_cast<uint64_t>(arguments.Integer("max-new-tokens", 128));
  // A dump, too, has the logits of every token.
  command.generation.keep_logits = !command.logits.empty() || !command.dump.empty();
  ReadMeasuring(arguments, command);
  SLIM_TRY(CheckUse(arguments, command));
  return command;
}

}  // namespace slim
