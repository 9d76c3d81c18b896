// What judging for any loader shares: the model as loaders build it, the files they open, the
// description they find, and the check of one module's tensors against the parameters that the
// loader creates for its type (loader_parts.def). Each loader's own logic is in loader_<name>.cc.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "verify/context.h"
#include "verify/loader_files.h"
#include "verify/loader_model.h"
#include "verify/profile.h"

namespace slim {

enum class PartDType : uint8_t {
  kModel,
  kAnyFloat,
  kI8,
  kI32,
  kU8,
  kF8,
  kF16,
  kF32,
  kDeq,
  kDynamic
};
enum class PartShape : uint8_t {
  kMatrix,      // [n, k]
  kHalfMatrix,  // [n, k / 2]
  kVector,      // [n]
  kColumn,      // [n, 1]
  kAnyColumn,   // n elements, unused: no shape is compared at one tensor-parallel rank
  kOne,         // [1]
  kBlocks32,    // [n, ceil(k / 32)]
  kAny
};
enum class PartNeed : uint8_t { kNeeded, kUnused };

struct LoaderPart {
  LoaderSet loaders;
  std::string_view label;
  std::string_view tensor;
  PartDType dtype;
  PartShape shape;
  PartNeed need;
};
std::vector<const LoaderPart*> PartsOf(LoaderVersion version, std::string_view label);

struct LoaderType {
  LoaderSet loaders;
  std::string_view label;
  bool linear;
  bool moe;
  bool only_a5;
};
const LoaderType* FindType(LoaderVersion version, std::string_view label, bool moe);

// How a loader treats what is amiss with a module's tensors.
struct PartPolicy {
  Effect missing = Effect::kRefuses;
  bool missing_unused_matters = true;  // a tensor that is read, though the arithmetic ignores it
  bool compares_shapes = true;         // else kernels decide
};

class LoaderJudge {
 public:
  LoaderJudge(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
              bool deep, bool follows_index);

  bool IsVersion(LoaderVersion version) const { return target.version == version; }
  void Report(RuleName rule, Effect effect, FindingDetail detail) {
    context.Report(rule, target, effect, std::move(detail));
  }
  const Json* Config(std::string_view key) const;  // null when absent or JSON null
  std::string ConfigPath() const;
  // A description of that name in the directory: the checkpoint's own, or read now. Null when it
  // is not there or no description.
  const QuantDescription* ReadDescription(const std::string& name);
  void UseDescription(const QuantDescription* found) { description = found; }
  // The label that the loader sees, or null.
  const std::string* Label(std::string_view tensor) const {
    return description == nullptr ? nullptr : description->Label(tensor);
  }
  std::optional<std::string_view> Global(std::string_view key) const;

  // The tensors of `module` as the parameters of type `label`; marks them as read. True when all of
  // them are what the loader wants.
  bool CheckModule(const LoaderModule& module, std::string_view label, const PartPolicy& policy);
  // One tensor by name; false when it is absent (nothing is reported then).
  bool CheckTensor(const std::string& name, DType dtype, const std::optional<Shape>& shape,
                   const PartPolicy& policy);
  void MarkRead(std::string_view name);
  // All parts of a layer that is refused as a whole, so that none of them is reported by itself.
  void MarkModule(std::string_view module);
  // Bias of a float or dynamic layer.
  void ReportMissing(const std::string& name, Effect effect, std::string_view label);

  // Static layers of one fused group share their input scale and offset.
  void CheckInputs(const LoaderGroup& group, Effect effect);
  // weight_offset where the arithmetic takes it for zero: reported where outputs change by more
  // than a tenth, as degrading else.
  void CheckOffset(const LoaderModule& module, double factor);

  bool IsZero(std::string_view tensor) const;
  bool IsRead(const TensorEntry& entry) const;
  // Tensors that make no difference when nobody reads them.
  bool IsHarmless(const TensorEntry& entry) const;
  bool IsCopyOfReadNorm(const TensorEntry& entry) const;
  // Reports tensors of the visible files that were not read though they matter (MindIE).
  void ReportUnread();

  // True when the checkpoint holds codes or scales, whatever the description says.
  const TensorEntry* FirstQuantizedTensor() const;

  VerifyContext& context;
  const LoaderModel& model;
  const LoaderTarget& target;
  const bool deep;
  LoaderFiles files;
  DType dtype = DType::kBF16;  // of the parameters
  const QuantDescription* description = nullptr;

 private:
  std::optional<Shape> WantedShape(const LoaderModule& module, PartShape shape) const;
  DType WantedDType(PartDType dtype, DType found) const;
  void CheckCast(const LoaderTensor& tensor, DType wanted);
  void CheckShape(const LoaderTensor& tensor, const Shape& wanted, const PartPolicy& policy);

  std::vector<char> read_;  // parallel to Checkpoint::tensors()
  std::vector<std::unique_ptr<QuantDescription>> own_;
};

// Files that the loader opens: index, duplicates, what cannot be read.
void JudgeFiles(LoaderJudge& judge, Effect duplicate);
// Families of models that this generation is known to fail on (loader_limits.def).
void JudgeLimits(LoaderJudge& judge);
// Heads, sizes and groups against --tp.
void JudgeParallel(LoaderJudge& judge);
// config.json's dtype for loaders that read both spellings; nothing when it is absent or unknown.
std::optional<DType> NamedDType(const VerifyContext& context, bool torch_dtype_only);

// Of a directory of compressed parts, whoever loads it.
void JudgeCompressed(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target);
void JudgeVllm(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
               bool deep);
void JudgeMindie(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
                 bool deep);
void JudgeAtb(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
              bool deep);
void JudgeSglang(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
                 bool deep);
void JudgeMindSpore(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
                    bool deep);

}  // namespace slim
