#include "checkpoint/checkpoint.h"
#include "cli/run_tool.h"
#include "convert/convert.h"
#include "convert/parts.h"
#include "kernels/isa.h"
#include "options.h"
#include "report/convert_report.h"

namespace {

// Conversions to and from several directories go their own way.
bool IsOfParts(const slim::ConvertRequest& request) {
  return request.options.to == slim::Dialect::kMindIEParts || slim::HasParts(request.input);
}

slim::Result<slim::ConvertPlan> ConvertParts(const slim::ConvertRequest& request,
                                             slim::ThreadPool& pool, slim::Console& console) {
  slim::PartsOptions options;
  options.ranks = request.ranks;
  options.to = request.options.to;
  options.to_fp16 = request.options.dtype == slim::DType::kF16;
  options.allow_loss = request.options.allow_loss;
  options.keep_extra = request.options.keep_extra;
  options.plan_only = request.plan;
  const bool from = slim::HasParts(request.input);
  if (!from && request.options.dtype == slim::DType::kBF16)
    return slim::UsageError("--dtype bf16: MindIE loads compressed weights of float16 models only");
  if (from && slim::FindEdge(slim::Dialect::kMindIEParts, request.options.to) == nullptr)
    return slim::NoEdge(slim::Dialect::kMindIEParts, request.options.to);
  if (from && request.options.dtype) {
    return slim::UsageError("--dtype does not go with parts as input",
                            "convert to ascendv1-v0 first, then with --dtype");
  }
  return from ? slim::ConvertFromParts(request.input, request.output, options,
                                       request.output_options, pool, console)
              : slim::ConvertToParts(request.input, request.output, options, request.output_options,
                                     pool, console);
}

slim::Result<int> Plan(const slim::ConvertRequest& request, slim::ThreadPool& pool,
                       slim::Console& console) {
  slim::ConvertPlan plan;
  if (IsOfParts(request)) {
    SLIM_ASSIGN(plan, ConvertParts(request, pool, console));
  } else {
    SLIM_ASSIGN(const slim::Checkpoint source, slim::Checkpoint::Open(request.input));
    SLIM_ASSIGN(plan, slim::PlanConversion(source, request.options, pool, console));
  }
  const bool all_tensors = console.level() == slim::LogLevel::kDebug;
  SLIM_TRY(console.Print(console.json() ? slim::ConvertPlanJson(plan, std::nullopt)
                                        : slim::ConvertPlanText(plan, all_tensors)));
  return 0;
}

slim::Result<int> Write(const slim::ConvertRequest& request, slim::ThreadPool& pool,
                        slim::Console& console) {
  SLIM_ASSIGN(const slim::ConvertPlan plan,
              IsOfParts(request) ? ConvertParts(request, pool, console)
                                 : slim::Convert(request.input, request.output, request.options,
                                                 request.output_options, pool, console));
  for (const std::string& note : plan.notes) console.Note(note);
  for (const slim::SideFile& file : plan.side_files.left) {
    console.Note(slim::LeftBehindText(file));
  }
  if (console.json()) SLIM_TRY(console.Print(slim::ConvertPlanJson(plan, request.output)));
  console.Note(slim::ConvertSummary(plan, request.output));
  return 0;
}

slim::Result<int> RunConvert(const slim::Arguments& arguments, slim::Console& console) {
  SLIM_ASSIGN(const slim::ConvertRequest request, slim::ReadConvertRequest(arguments));
  if (request.list) {
    SLIM_TRY(console.Print(console.json() ? slim::ConvertListJson() : slim::ConvertListText()));
    return 0;
  }
  slim::ThreadPool pool(request.threads);
  return request.plan ? Plan(request, pool, console) : Write(request, pool, console);
}

}  // namespace

int main(int argc, char** argv) {
  return slim::RunTool(slim::ConvertTool(), argc, argv, RunConvert, slim::IsaEnvironmentStatus);
}
