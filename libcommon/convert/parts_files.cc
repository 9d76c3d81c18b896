#include "convert/parts_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "checkpoint/dialects/mindie_parts.h"
#include "checkpoint/side_files.h"
#include "checkpoint/sparse_codec.h"
#include "convert/plan_receipt.h"
#include "os/digest.h"

namespace slim {

Result<PartWriter> PartWriter::Create(OutputDirectory& directory, PartFile part) {
  const std::string name = PartDirectoryName(part.rank, part.ranks);
  SLIM_TRY(directory.CreateSubdirectory(name));
  std::vector<TensorSpec> specs;
  for (const PlannedTensor& tensor : part.tensors) specs.push_back(tensor.spec);
  SLIM_ASSIGN(
      const SafetensorsLayout layout,
      LayOutSafetensors(specs, {{"format", "pt"},
                                {std::string(kSparseCodecKey), std::string(kSparseCodecName)}}));
  const std::string file_name =
      fmt::format("{}/quant_model_weight_{}.safetensors", name, ToLower(part.quant_type));
  SLIM_ASSIGN(OutputFile file, directory.CreateFile(file_name, layout.file_size));
  SLIM_TRY(file.WriteAt(std::as_bytes(std::span(layout.header)), 0));
  PartWriter writer(std::move(part), std::move(file));
  for (size_t i = 0; i < specs.size(); ++i)
    writer.offsets_.emplace(specs[i].name, layout.offsets[i]);
  return writer;
}

Status PartWriter::Write(const std::string& name, std::span<const std::byte> bytes) {
  const auto offset = offsets_.find(name);
  if (offset == offsets_.end())
    return InternalError(fmt::format("tensor {} was not planned", Quote(name)));
  SLIM_TRY(file_.WriteAt(bytes, offset->second));
  std::string digest = Xxh3(bytes);
  const std::lock_guard lock(*mutex_);
  digests_->emplace(name, std::move(digest));
  return {};
}

Status PartWriter::Finish(OutputDirectory& directory) {
  if (digests_->size() != part_.tensors.size())
    return InternalError("a tensor of a part was planned and never written");
  SLIM_TRY(file_.Close());
  QuantDescription description;
  description.AddGlobal("model_quant_type", part_.quant_type);
  if (part_.versioned) description.AddGlobal("version", "1.0.0");
  for (const PlannedTensor& tensor : part_.tensors)
    description.AddTensor(tensor.spec.name, tensor.label);
  const std::string name = PartDirectoryName(part_.rank, part_.ranks);
  const std::string file =
      part_.versioned ? "quant_model_description.json"
                      : fmt::format("quant_model_description_{}.json", ToLower(part_.quant_type));
  return directory.WriteFile(fmt::format("{}/{}", name, file), description.Write(2));
}

Result<Receipt> PartsReceipt(const ConvertPlan& plan, const std::string& input) {
  Receipt receipt;
  receipt.tool = "slim-convert";
  receipt.configuration.Set("from", DialectName(plan.from));
  receipt.configuration.Set("to", DialectName(plan.to));
  SLIM_ASSIGN(const bool corrected, ReceiptCorrectsBias(input));
  if (corrected) receipt.configuration.Set(kBiasCorrectionKey, true);
  const ConvertPlan* plans[] = {&plan};
  RecordLoss(plans, receipt);
  return receipt;
}

Status CheckLossAllowed(const ConvertPlan& plan, bool allow_loss) {
  const TensorPlan* worst = plan.WorstTensor();
  if (worst == nullptr || allow_loss) return {};
  return InputError("CV-loss",
                    fmt::format("loses precision, largest relative error {:.3g}",
                                worst->worst_relative_error),
                    "--allow-loss accepts it, --plan shows every tensor")
      .WithTensor(worst->source)
      .WithPath(plan.input);
}

}  // namespace slim
