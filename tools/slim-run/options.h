// The command line of slim-run: its flag table, and what the flags mean as a run.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/flag.h"
#include "os/output.h"
#include "report/run_output.h"
#include "run/bench.h"
#include "run/generate.h"
#include "run/layer_dump.h"
#include "run/perplexity.h"
#include "serve/http_server.h"

namespace slim {

extern const Tool kRunTool;

struct RunCommand {
  enum class Mode : uint8_t {
    kPrompt,        // `text` is the prompt
    kInput,         // `path` holds a prompt, or one JSON object a line
    kConversation,  // every line of standard input is the user's next message
    kPerplexity,    // of the text in `path`
    kChoices,       // of the questions in `path`
    kBench,
    kServe
  };
  Mode mode = Mode::kPrompt;
  std::string model;
  std::string text;
  std::string path;  // "-": standard input
  bool chat = false;
  std::optional<std::string> system;
  Backend backend = Backend::kFast;
  bool stream = false;
  uint64_t max_memory = 0;  // 0: what is available
  FloatInputs float_inputs = FloatInputs::kFp32;
  PhaseChoice phase = PhaseChoice::kAuto;
  KvCacheType kv_cache = KvCacheType::kCheckpoint;
  bool needs_kv_scales = false;  // c8 was asked for by name
  int threads = 1;
  std::optional<uint64_t> context;
  bool truncate = false;
  bool special = false;
  std::optional<std::string> expect;
  std::string logits;  // a file to write; empty: none
  std::string dump;    // a directory to write; empty: none
  DumpFormat dump_format = DumpFormat::kSafetensors;
  OutputOptions write;
  GenerationOptions generation;  // but for context and stop_tokens, which the model decides
  PerplexityOptions perplexity;
  BenchOptions bench;
  TableFormat table = TableFormat::kText;
  HttpOptions http;
  bool quantization = false;  // the flag of vLLM was given
  ServiceOptions service;     // but for the context
};

// What was typed, after defaults and conflicts.
Result<RunCommand> ReadRunCommand(const Arguments& arguments);

}  // namespace slim
