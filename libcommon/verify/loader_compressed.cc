// Who takes a directory of compressed parts (facts: consumers.md 8.3, 9.6): MindIE on the 300I, at
// the tensor-parallel degree that it was compressed for.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "verify/loader_judge.h"

namespace slim {
namespace {

bool IsMindie(Loader loader) { return loader == Loader::kMindie || loader == Loader::kMindieAtb; }

void CheckQuantize(LoaderJudge& judge) {
  const Json* quantize = judge.Config("quantize");
  const std::string found(quantize == nullptr ? "" : quantize->AsString().value_or(""));
  if (found == "w8a8sc" || found == "w16a16sc") return;
  // The runner lower-cases nothing; the runtime looks for the parts only when it reads W8A8SC.
  const bool upper = judge.target.loader == Loader::kMindie && ToUpper(found) == "W8A8SC";
  if (upper) return;
  const std::string message =
      found.empty() ? "config.json has no 'quantize': the parts are not looked for"
                    : fmt::format("'quantize' is {}: the parts are not looked for", Quote(found));
  FindingDetail detail{
      .found = found, .wanted = "w8a8sc", .message = message, .path = judge.ConfigPath()};
  if (judge.target.loader == Loader::kMindieAtb) {
    judge.Report("LD-quantize", Effect::kRefuses, std::move(detail));
  } else {
    judge.Report("LD-description", Effect::kRefuses, std::move(detail));
  }
}

}  // namespace

void JudgeCompressed(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target) {
  LoaderJudge judge(context, model, target, /*deep=*/false, /*follows_index=*/false);
  if (!IsMindie(target.loader)) {
    judge.Report("LD-foreign-format", Effect::kRefuses,
                 {.found = "mindie-parts",
                  .message = "parts of compressed weights with MindIE's names: this loader looks "
                             "for other names and folders"});
    return;
  }
  CheckQuantize(judge);
  constexpr std::array<std::string_view, 2> kRuntimeModels = {"qwen2", "qwen3"};
  const Json* type = judge.Config("model_type");
  const std::string name(type == nullptr ? "" : type->AsString().value_or(""));
  if (target.loader == Loader::kMindie &&
      std::ranges::find(kRuntimeModels, name) == kRuntimeModels.end()) {
    judge.Report("LD-model-type", Effect::kRefuses,
                 {.found = name,
                  .wanted = "qwen2 or qwen3",
                  .message = fmt::format("has no names of compressed layers for {}", Quote(name)),
                  .path = judge.ConfigPath()});
  }
  if (target.chip != Chip::k300I) {
    judge.Report("LD-chip", Effect::kCrashesForward,
                 {.found = target.chip ? std::string(ChipName(*target.chip)) : "",
                  .wanted = "300I",
                  .message = "only the 300I computes with compressed weights"});
  }
  JudgeParallel(judge);
}

}  // namespace slim
