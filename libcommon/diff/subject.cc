#include "diff/subject.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "model/modules.h"
#include "model/open_to_compute.h"
#include "model/read_config.h"

namespace slim {
namespace {

// What a linear of the type takes beyond its stored tensors: the fast backend keeps float products
// dequantized.
uint64_t LinearBytes(const OpenModel& model, const Module& module, Backend backend) {
  const TensorEntry* entry = model.checkpoint.Find(module.TensorName());
  const uint64_t stored = entry == nullptr ? 0 : entry->size;
  const auto scheme = model.checkpoint.SchemeOf(module.name);
  if (!scheme.ok() || HasFloatWeight(*scheme)) return stored;
  const uint64_t codes = module.weight_shape[0] * module.weight_shape[1];
  if (HasIntegerProduct(*scheme)) return codes;
  return backend == Backend::kFast ? codes * sizeof(float) : stored;
}

uint64_t ModulesBytes(const OpenModel& model, const std::vector<Module>& modules, Backend backend) {
  uint64_t total = 0;
  for (const Module& module : modules) {
    if (module.IsLinear()) {
      total += LinearBytes(model, module, backend);
    } else if (const TensorEntry* entry = model.checkpoint.Find(module.TensorName())) {
      total += entry->size;
    }
  }
  return total;
}

}  // namespace

Result<OpenModel> OpenModelAt(const std::string& path) {
  SLIM_ASSIGN(Checkpoint checkpoint, OpenToCompute(path));
  SLIM_ASSIGN(ModelConfig config, ReadModelConfig(checkpoint));
  return OpenModel{std::move(checkpoint), std::move(config)};
}

Result<DiffSubject> Describe(const OpenModel& model) {
  DiffSubject subject;
  subject.path = model.checkpoint.path();
  subject.dialect = model.checkpoint.traits().name;
  std::map<std::string_view, uint64_t> counts;
  for (uint64_t layer = 0; layer < model.config.num_layers; ++layer) {
    for (const Module& module : BlockModules(model.config, layer)) {
      if (!module.IsLinear()) continue;
      SLIM_ASSIGN(const Scheme scheme, model.checkpoint.SchemeOf(module.name));
      ++counts[SchemeLabel(scheme)];
    }
  }
  for (const auto& [label, count] : counts) subject.types.emplace_back(label);
  std::stable_sort(
      subject.types.begin(), subject.types.end(),
      [&](const std::string& a, const std::string& b) { return counts.at(a) > counts.at(b); });
  return subject;
}

Status CheckSameVocabularySize(const OpenModel& first, const OpenModel& second) {
  if (first.config.vocab_size == second.config.vocab_size) return {};
  return InputError(
             "DIFF-vocabulary",
             fmt::format("has a vocabulary of {} tokens, {} one of {}", second.config.vocab_size,
                         Escape(first.checkpoint.path()), first.config.vocab_size),
             "compare checkpoints of one model")
      .WithPath(second.checkpoint.path());
}

uint64_t BlockBytes(const OpenModel& model, uint64_t layer, Backend backend) {
  return ModulesBytes(model, BlockModules(model.config, layer), backend);
}

uint64_t EndsBytes(const OpenModel& model, Backend backend) {
  const auto size = [&](const std::string& tensor) {
    const TensorEntry* entry = model.checkpoint.Find(tensor);
    return entry == nullptr ? uint64_t{0} : entry->size;
  };
  const Module head{
      kLmHeadName, ModuleKind::kLinear, {model.config.vocab_size, model.config.hidden_size}, false};
  return size(EmbeddingName(model.config) + ".weight") + LinearBytes(model, head, backend);
}

Error WithPathOf(Error error, const OpenModel& model) {
  if (error.path.empty()) return std::move(error).WithPath(model.checkpoint.path());
  return error;
}

}  // namespace slim
