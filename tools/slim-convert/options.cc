#include "options.h"

#include "os/processors.h"

namespace slim {
namespace {

constexpr Flag kFlags[] = {
    {.name = "to",
     .kind = FlagKind::kText,
     .help = "the dialect to write: hf, ascendv1, ascendv1-v0 or mindie",
     .value = "DIALECT",
     .group = "Conversion"},
    {.name = "dtype",
     .kind = FlagKind::kChoice,
     .help = "rewrite float tensors, deq_scale and torch_dtype for this model dtype",
     .group = "Conversion",
     .choices = "bf16 fp16"},
    {.name = "allow-loss",
     .help = "write although values are rounded; the receipt says how much",
     .group = "Conversion"},
    {.name = "keep-extra",
     .help = "also copy code (*.py) and side files of unknown purpose",
     .group = "Conversion"},
    {.name = "plan",
     .help = "print what would change, tensor by tensor (with --verbose all), and write nothing",
     .group = "Conversion"},
    {.name = "list",
     .help = "print dialects, conversions and the loss class of each",
     .group = "Conversion"},
};
constexpr Operand kOperands[] = {
    {.name = "IN", .help = "directory of the checkpoint to convert", .required = false}};
constexpr Command kCommands[] = {{.name = "",
                                  .synopsis = "IN -o OUT --to DIALECT [options]",
                                  .summary = "write a checkpoint in another dialect",
                                  .flags = kFlags,
                                  .operands = kOperands,
                                  .writes = true}};
constexpr Tool kTool = {.name = "slim-convert",
                        .summary = "convert checkpoints between dialects without changing numbers",
                        .commands = kCommands};

}  // namespace

const Tool& ConvertTool() { return kTool; }

Result<ConvertRequest> ReadConvertRequest(const Arguments& arguments) {
  ConvertRequest request;
  request.list = arguments.Has("list");
  if (request.list) return request;
  request.plan = arguments.Has("plan") || arguments.Has("dry-run");
  SLIM_ASSIGN(request.input, arguments.OperandAt(0));
  SLIM_ASSIGN(const std::string to, arguments.Required("to"));
  SLIM_ASSIGN(request.options.to, ParseDialect(to));
  request.output = arguments.Text("output");
  if (!request.plan) {
    SLIM_ASSIGN(request.output, arguments.Required("output"));
  }
  if (arguments.Has("dtype")) request.options.dtype = ParseModelDType(arguments.Text("dtype"));
  request.options.allow_loss = arguments.Has("allow-loss");
  request.options.keep_extra = arguments.Has("keep-extra");
  request.options.part_size = arguments.Size("part-size", 0);
  request.options.max_memory = arguments.Size("max-memory", 0);
  request.output_options = arguments.output_options();
  request.threads = static_cast<int>(arguments.Integer("threads", DefaultThreadCount()));
  return request;
}

}  // namespace slim
