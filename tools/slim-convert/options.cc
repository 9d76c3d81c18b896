#include "options.h"

#include "os/processors.h"
#include "verify/loader_choices.h"

namespace slim {
namespace {

// Of both commands.
constexpr Flag kTp = {.name = "tp",
                      .kind = FlagKind::kInteger,
                      .help = "tensor-parallel ranks of mindie-parts",
                      .value = "N",
                      .group = "Conversion",
                      .minimum = 1,
                      .maximum = 64};
constexpr Flag kAllowLoss = {.name = "allow-loss",
                             .help = "write although values are rounded; the receipt says how much",
                             .group = "Conversion"};
constexpr Flag kKeepExtra = {.name = "keep-extra",
                             .help = "also copy code (*.py) and side files of unknown purpose",
                             .group = "Conversion"};
constexpr Flag DTypeFlag(std::string_view choices, std::string_view help) {
  return {.name = "dtype",
          .kind = FlagKind::kChoice,
          .help = help,
          .group = "Conversion",
          .choices = choices};
}

constexpr Flag kFlags[] = {
    {.name = "for",
     .kind = FlagKind::kText,
     .help = "repair what this loader would refuse or read wrongly, with or without --to; "
             "slim-verify --list-profiles names them",
     .value = "PROFILE[@VERSION]",
     .group = "Conversion",
     .choices = kLoaderChoices},
    {.name = "to",
     .kind = FlagKind::kText,
     .help = "the dialect to write: hf, ascendv1, ascendv1-v0, mindie, mindie-parts, "
             "compressed-tensors, gptq, golden-stick, gguf or npy",
     .value = "DIALECT",
     .group = "Conversion",
     .choices = "hf ascendv1 ascendv1-v0 mindie mindie-parts compressed-tensors gptq golden-stick "
                "gguf npy"},
    {.name = "dequantize",
     .help = "write codes times scales as a float checkpoint (implies --to hf)",
     .group = "Conversion"},
    DTypeFlag("bf16 fp16 fp32",
              "rewrite float tensors, deq_scale and torch_dtype for this model dtype; fp32 only "
              "with --dequantize"),
    kTp,
    kAllowLoss,
    kKeepExtra,
    {.name = "plan",
     .help = "print what would change, tensor by tensor (with --verbose all), and write nothing",
     .group = "Conversion"},
    {.name = "list",
     .help = "print dialects, conversions and the loss class of each",
     .group = "Conversion"},
};
constexpr Operand kOperands[] = {
    {.name = "IN", .help = "directory of the checkpoint to convert", .required = false}};
// The compression command of MindIE's examples, with its own flags (source document S003).
constexpr Flag kCompressorFlags[] = {
    {.name = "model-path",
     .kind = FlagKind::kText,
     .help = "directory of the W8A8S or W16A16S checkpoint",
     .value = "PATH",
     .group = "Conversion"},
    {.name = "save-directory",
     .kind = FlagKind::kText,
     .help = "directory to write; --output does the same",
     .value = "PATH",
     .group = "Conversion"},
    kTp,
    DTypeFlag("fp16", "fp16 rounds a model of another dtype on the way"),
    kAllowLoss,
    kKeepExtra,
    {.name = "plan", .help = "print what would be done, and write nothing", .group = "Conversion"},
};
constexpr Command kCommands[] = {
    {.name = "",
     .synopsis = "IN -o OUT --to DIALECT [options]",
     .summary = "write a checkpoint in another dialect",
     .flags = kFlags,
     .operands = kOperands,
     .writes = true},
    {.name = "sparse_compressor",
     .synopsis = "--model_path W8A8S --save_directory OUT --tp N [options]",
     .summary = "split and compress a sparse checkpoint, as --to mindie-parts",
     .flags = kCompressorFlags,
     .writes = true}};
constexpr Tool kTool = {.name = "slim-convert",
                        .summary = "convert checkpoints between dialects without changing numbers",
                        .commands = kCommands};

// What both commands have.
void ReadShared(const Arguments& arguments, ConvertRequest& request) {
  request.plan = arguments.Has("plan") || arguments.Has("dry-run");
  if (arguments.Has("dtype")) request.options.dtype = ParseModelDType(arguments.Text("dtype"));
  request.ranks = static_cast<uint64_t>(arguments.Integer("tp", 0));
  request.options.allow_loss = arguments.Has("allow-loss");
  request.options.keep_extra = arguments.Has("keep-extra");
  request.options.part_size = arguments.Size("part-size", 0);
  request.options.max_memory = arguments.Size("max-memory", 0);
  request.output_options = arguments.output_options();
  request.threads = static_cast<int>(arguments.Integer("threads", DefaultThreadCount()));
}

Result<ConvertRequest> ReadCompressorRequest(const Arguments& arguments) {
  ConvertRequest request;
  ReadShared(arguments, request);
  request.options.to = Dialect::kMindIEParts;
  SLIM_ASSIGN(request.input, arguments.Required("model-path"));
  request.output = arguments.Text("save-directory", arguments.Text("output"));
  if (!request.plan && request.output.empty()) {
    SLIM_ASSIGN(request.output, arguments.Required("save-directory"));
  }
  return request;
}

Status CheckDType(const ConvertOptions& options) {
  if (options.dtype != DType::kF32 || options.dequantize) return {};
  return UsageError("--dtype fp32 needs --dequantize: no Ascend dialect is fp32");
}

Status ReadTarget(const Arguments& arguments, ConvertOptions& options) {
  options.dequantize = arguments.Has("dequantize");
  if (arguments.Has("for")) {
    SLIM_ASSIGN(options.loader, ParseLoaderTarget(arguments.Text("for")));
    options.same_dialect = !arguments.Has("to");
  }
  if (options.same_dialect && !options.dequantize) return CheckDType(options);
  if (!options.dequantize || arguments.Has("to")) {
    SLIM_ASSIGN(const std::string to, arguments.Required("to"));
    SLIM_ASSIGN(options.to, ParseDialect(to));
  } else {
    options.to = Dialect::kHf;
  }
  if (options.loader && TraitsOf(options.to).is_foreign)
    return UsageError("--for repairs Ascend dialects, --to names another");
  if (options.dequantize && options.to != Dialect::kHf)
    return UsageError("--dequantize writes hf, --to names another dialect");
  return CheckDType(options);
}

}  // namespace

const Tool& ConvertTool() { return kTool; }

Result<ConvertRequest> ReadConvertRequest(const Arguments& arguments) {
  if (arguments.command().name == "sparse_compressor") return ReadCompressorRequest(arguments);
  ConvertRequest request;
  request.list = arguments.Has("list");
  if (request.list) return request;
  ReadShared(arguments, request);
  SLIM_ASSIGN(request.input, arguments.OperandAt(0));
  SLIM_TRY(ReadTarget(arguments, request.options));
  request.output = arguments.Text("output");
  if (!request.plan) {
    SLIM_ASSIGN(request.output, arguments.Required("output"));
  }
  request.options.measure = request.plan;
  return request;
}

}  // namespace slim
