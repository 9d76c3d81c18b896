#include "cli/run_tool.h"
#include "convert/convert.h"
#include "kernels/isa.h"
#include "options.h"
#include "parts.h"
#include "report/convert_report.h"

namespace {

slim::Result<int> Plan(const slim::ConvertRequest& request, slim::ThreadPool& pool,
                       slim::Console& console) {
  slim::ConvertPlan plan;
  if (slim::IsOfParts(request)) {
    SLIM_ASSIGN(plan, slim::ConvertParts(request, pool, console));
  } else {
    SLIM_ASSIGN(const slim::ConvertSource source,
                slim::OpenConvertSource(request.input, request.options, request.threads, console));
    SLIM_ASSIGN(plan, slim::PlanConversion(source, pool, console));
  }
  const bool all_tensors = console.level() == slim::LogLevel::kDebug;
  SLIM_TRY(console.Print(console.json() ? slim::ConvertPlanJson(plan, std::nullopt)
                                        : slim::ConvertPlanText(plan, all_tensors)));
  return 0;
}

slim::Result<int> Write(const slim::ConvertRequest& request, slim::ThreadPool& pool,
                        slim::Console& console) {
  SLIM_ASSIGN(const slim::ConvertPlan plan,
              slim::IsOfParts(request)
                  ? slim::ConvertParts(request, pool, console)
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
