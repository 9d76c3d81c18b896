// What readers of the dialects that name their parts by suffix share: a linear layer is found by
// one anchor tensor and takes its siblings; every tensor that no layer takes is a plain one.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "checkpoint/layer_reader.h"

namespace slim {

class ModuleLayers : public LayerReader {
 public:
  // Fills layers(). Errors carry tensor and path; with `problems` they are added to it, and what
  // they are about is left out: every layer where it is the configuration.
  Status Open(std::vector<Error>* problems);
  // Ok where `problems` takes the error: those of the input, not those of the system.
  static Status Collect(Status status, std::vector<Error>* problems);
  Result<LinearRecord> Read(const LogicalLayer& layer, Parts parts) const override;

 protected:
  using LayerReader::LayerReader;
  // What config.json says of all layers, before the first of them.
  virtual Status ReadConfig() { return {}; }
  // The layer that `anchor` begins, or nothing when it begins none. Everything it takes is in
  // `sources`, the anchor first.
  virtual Result<std::optional<LogicalLayer>> LinearAt(const TensorEntry& anchor) = 0;
  // A part in the form that layer.part(role) promises.
  virtual Result<Tensor> ReadRole(const LogicalLayer& layer, Role role) const = 0;
  // A tensor that no layer took: plain unless the dialect knows better.
  virtual Status AddRest(const TensorEntry& entry);

  const TensorEntry* Part(std::string_view module, std::string_view suffix) const;
  // The same, that must be there.
  Result<const TensorEntry*> Need(std::string_view module, std::string_view suffix) const;
  Status RequireShape(const TensorEntry& entry, const Shape& wanted) const;
  Status RequireDType(const TensorEntry& entry, std::initializer_list<DType> wanted) const;
  Error Refuse(const TensorEntry& entry, std::string rule, std::string message,
               std::string hint = "") const;
  // Adds module.bias [n] where there is one, as it is.
  Status TakeBias(LogicalLayer& layer) const;
  // g_idx [k]: empty when column j belongs to group j / (k / groups), else the group of each.
  Result<std::vector<int32_t>> ReadColumnGroups(const TensorEntry& entry, uint64_t k,
                                                uint64_t groups) const;
};

// A `Reader` made of the source and `args`, open.
template <typename Reader, typename... Args>
Result<std::unique_ptr<LayerReader>> OpenModuleLayers(std::vector<Error>* problems,
                                                      const Checkpoint& source, Args... args) {
  auto reader = std::make_unique<Reader>(source, args...);
  SLIM_TRY(reader->Open(problems));
  return std::unique_ptr<LayerReader>(std::move(reader));
}

// config.json's quantization_config, or null.
const Json* QuantizationConfig(const Checkpoint& source);

}  // namespace slim
