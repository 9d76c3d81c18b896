// The rules LD-…: what each loader of --for would do with the checkpoint. One file a loader; this
// one only hands out the work.
#include "verify/loader_judge.h"

namespace slim {

void CheckLoaders(VerifyContext& context, bool deep) {
  if (context.targets().empty()) return;
  const LoaderModel model = BuildLoaderModel(context);
  for (const LoaderTarget& target : context.targets()) {
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
