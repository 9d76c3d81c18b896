// Heads, sizes and groups of scales against the tensor-parallel degree (facts: consumers.md 9.4).
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "verify/loader_judge.h"

namespace slim {
namespace {

class ParallelJudge {
 public:
  ParallelJudge(LoaderJudge& judge, uint64_t tp) : judge_(judge), tp_(tp) {}

  void Run() {
    const bool padded = judge_.target.loader == Loader::kMindieAtb;
    const bool mindie = judge_.target.loader == Loader::kMindie;
    if (!padded) {
      if (!mindie) Divides("num_attention_heads", tp_);
      KvHeads();
      Divides("intermediate_size", tp_);
      Divides("moe_intermediate_size", tp_);
    }
    CheckCompressed();
    if (judge_.description == nullptr) return;
    for (const LoaderModule& module : judge_.model.modules) CheckModule(module);
  }

 private:
  uint64_t Number(std::string_view key) const {
    const Json* value = judge_.Config(key);
    const auto number = value == nullptr ? std::nullopt : value->AsInteger();
    return number && *number > 0 ? static_cast<uint64_t>(*number) : 0;
  }

  void Report(std::string message, std::string tensor) {
    judge_.Report("LD-parallel", Effect::kRefuses,
                  {.tensor = tensor,
                   .found = fmt::format("tp {}", tp_),
                   .message = std::move(message),
                   .path = tensor.empty() ? judge_.ConfigPath() : std::string()});
  }

  void Divides(std::string_view key, uint64_t by) {
    const uint64_t size = Number(key);
    if (size % by == 0) return;
    Report(fmt::format("{} {} does not divide by tp {}", key, size, by), "");
  }

  void KvHeads() {
    const uint64_t heads = Number("num_key_value_heads");
    if (heads == 0 || heads % tp_ == 0 || tp_ % heads == 0) return;
    Report(fmt::format("num_key_value_heads {} and tp {} do not divide each other", heads, tp_),
           "");
  }

  // Scales of groups, and packed codes, are cut with the columns of row-parallel layers.
  void CheckModule(const LoaderModule& module) {
    const std::string* label = judge_.Label(module.name + ".weight");
    if (label == nullptr || module.k == 0) return;
    const bool row = module.use == ModuleUse::kRow;
    const bool mx = label->find("_MXFP") != std::string::npos;
    if (row && mx && (module.k % tp_ != 0 || module.k / tp_ % 64 != 0)) {
      Report(fmt::format("{} columns by tp {} are no multiple of 64", module.k, tp_),
             module.name + ".weight");
    }
    const LoaderTensor scale = judge_.files.Find(module.name + ".weight_scale");
    const uint64_t groups = scale && scale.entry->shape.size() == 2 ? scale.entry->shape[1] : 1;
    if (row && !mx && groups > 1 && groups % tp_ != 0)
      Report(fmt::format("{} groups of scales do not divide by tp {}", groups, tp_),
             scale.entry->name);
    const bool flat = label->find("FLATQUANT") != std::string::npos;
    const Json* most = judge_.description->Global("max_supported_tp");
    const auto limit = static_cast<uint64_t>(
        std::max<int64_t>(1, most == nullptr ? 4 : most->AsInteger().value_or(4)));
    if (flat && tp_ > limit)
      Report(fmt::format("{} takes at most tp {}", *label, limit), module.name + ".weight");
    if (*label == "W4A8_DYNAMIC" && module.use == ModuleUse::kExpert && (tp_ > 16 || 16 % tp_ != 0))
      Report(fmt::format("scale_bias has 16 parts, which do not divide by tp {}", tp_),
             module.name + ".weight");
  }

  // W8A8SC is compressed for one degree: part<rank>-of-<tp>.
  void CheckCompressed() {
    uint64_t parts = 0;
    for (const DirectoryEntry& file : judge_.context.checkpoint().listing()) {
      if (file.kind == FileKind::kDirectory && file.name.starts_with("part") &&
          file.name.find("-of-") != std::string::npos)
        ++parts;
    }
    if (parts == 0 || parts == tp_) return;
    Report(fmt::format("was compressed for tp {}, not {}", parts, tp_), "");
  }

  LoaderJudge& judge_;
  uint64_t tp_;
};

}  // namespace

void JudgeParallel(LoaderJudge& judge) {
  if (!judge.target.tp || *judge.target.tp <= 1) return;
  ParallelJudge(judge, *judge.target.tp).Run();
}

}  // namespace slim
