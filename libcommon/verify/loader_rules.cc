// The rules LD-…: what each loader of --for would do with the checkpoint. One file a loader; this
// one only hands out the work.
#include <fmt/format.h>

#include "verify/loader_judge.h"

namespace slim {

namespace {

// Which weight files a loader opens (consumers.md 2.2, 4.1): safetensors; vLLM and SGLang fall back
// to torch.save's where there are none.
bool Opens(Loader loader, Container container) {
  const bool falls_back = loader == Loader::kVllmAscend || loader == Loader::kSglang;
  return container == Container::kSafetensors || (container == Container::kTorch && falls_back);
}

// True when the loader gets no further than the kind of file.
bool JudgeContainer(VerifyContext& context, const LoaderTarget& target) {
  const Checkpoint& checkpoint = context.checkpoint();
  const auto refuse = [&](std::string_view found, std::string message) {
    context.Report("LD-foreign-format", target, Effect::kRefuses,
                   {.found = std::string(found), .message = std::move(message)});
    return true;
  };
  if (!Opens(target.loader, checkpoint.guess().container)) {
    const std::string_view name = checkpoint.traits().name;
    return refuse(name, fmt::format("is a {} checkpoint: this loader looks for .safetensors files "
                                    "and finds none",
                                    name));
  }
  if (!checkpoint.is_single_file()) return false;
  return refuse("one file", "is one file: the loader takes a directory with config.json");
}

}  // namespace

void CheckLoaders(VerifyContext& context, bool deep) {
  if (context.targets().empty()) return;
  const LoaderModel model = BuildLoaderModel(context);
  for (const LoaderTarget& target : context.targets()) {
    if (JudgeContainer(context, target)) continue;
    if (context.IsDialect(Dialect::kMindIEParts)) {
      JudgeCompressed(context, model, target);
      continue;
    }
    switch (target.loader) {
      case Loader::kMindieAtb:
        JudgeAtb(context, model, target, deep);
        break;
      case Loader::kMindie:
        JudgeMindie(context, model, target, deep);
        break;
      case Loader::kVllmAscend:
        JudgeVllm(context, model, target, deep);
        break;
      case Loader::kSglang:
        JudgeSglang(context, model, target, deep);
        break;
      case Loader::kMindSpore:
        JudgeMindSpore(context, model, target, deep);
        break;
    }
  }
}

}  // namespace slim
