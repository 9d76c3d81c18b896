// The files of one tensor-parallel part: part{i}-of-{n}/ with weights and description. Internal to
// convert/; checkpoint/sparse_codec.h has the codec.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint_writer.h"
#include "convert/plan.h"
#include "convert/receipt.h"
#include "os/output.h"

namespace slim {

struct PartFile {
  uint64_t rank = 0;
  uint64_t ranks = 1;
  std::string quant_type;  // "W8A8SC"
  bool versioned = true;   // the source's description had a version
  std::vector<PlannedTensor> tensors;
};

// quant_model_weight_{type}.safetensors, whose metadata names the codec, and
// quant_model_description.json, or quant_model_description_{type}.json without a version (facts:
// formats.md 7.3): model_quant_type, version, then the tensors in order, two spaces a level.
class PartWriter {
 public:
  static Result<PartWriter> Create(OutputDirectory& directory, PartFile part);
  // Thread-safe.
  Status Write(const std::string& name, std::span<const std::byte> bytes);
  Status Finish(OutputDirectory& directory);
  // XXH3-128 by tensor name.
  const std::map<std::string, std::string>& digests() const { return *digests_; }

 private:
  PartWriter(PartFile part, OutputFile file) : part_(std::move(part)), file_(std::move(file)) {}

  PartFile part_;
  OutputFile file_;
  std::unordered_map<std::string, uint64_t> offsets_;
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  std::unique_ptr<std::map<std::string, std::string>> digests_ =
      std::make_unique<std::map<std::string, std::string>>();
};

// Tool, configuration and losses of a conversion to or from parts; `input` is the directory that
// was read, whose receipt may tell of corrected biases.
Result<Receipt> PartsReceipt(const ConvertPlan& plan, const std::string& input);

// CV-loss unless a loss is allowed or there is none.
Status CheckLossAllowed(const ConvertPlan& plan, bool allow_loss);

}  // namespace slim
