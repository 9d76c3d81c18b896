// A checkpoint of any dialect as a list of layers in logical form, read one at a time: what a
// conversion between dialects with different tensors sees. Planning needs headers only. A reader
// knows one layout; unpacking is linear's, and no reader changes a value.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "linear/linear_record.h"

namespace slim {

struct PartSpec {
  DType dtype = DType::kF32;
  Shape shape;
};

// The header of one linear layer or of one tensor that belongs to none. `parts` are those that
// Read() gives, in logical form: codes I8 [n, k] one a byte, F8_E4M3 or floats; scales [n, groups],
// for blocks [⌈n/rows⌉, ⌈k/columns⌉]; weight offsets like scales, subtracted from codes.
struct LogicalLayer {
  std::string
      name;  // of the module; of the tensor where is_linear is false (its only part: weight)
  bool is_linear = false;
  bool is_lookup = false;  // its rows are looked up, not multiplied with (embeddings)
  Scheme scheme = Scheme::kFloat;
  std::array<std::optional<PartSpec>, kRoleCount> parts;
  // GPTQ act-order: the group of each column; empty where column j belongs to group
  // j / (k / groups).
  std::vector<int32_t> column_groups;
  std::array<uint64_t, 2> block{};  // [rows, columns] that share a scale; zeros: none
  // quant_bias carries a rounding of its writer and no float bias: to be computed anew.
  bool quant_bias_is_rounded = false;
  std::vector<const TensorEntry*> sources;  // every tensor the layer is made from
  std::string note;                         // how it got its form; empty for plain reading

  const std::optional<PartSpec>& part(Role role) const { return parts[static_cast<size_t>(role)]; }
  std::optional<PartSpec>& part(Role role) { return parts[static_cast<size_t>(role)]; }
  bool Has(Role role) const { return part(role).has_value(); }
  const Shape& shape() const { return part(Role::kWeight)->shape; }
  uint64_t n() const { return shape().at(0); }
  uint64_t k() const { return shape().at(1); }
  // Columns of weight_scale; 0 without one.
  uint64_t groups() const {
    return Has(Role::kWeightScale) ? part(Role::kWeightScale)->shape[1] : 0;
  }
  bool is_quantized() const { return is_linear && scheme != Scheme::kFloat; }
};

// Thread-safe for reading. The checkpoint must outlive it.
class LayerReader {
 public:
  explicit LayerReader(const Checkpoint& source) : source_(source) {}
  virtual ~LayerReader() = default;

  // In model order, every tensor of the source in one of them or in dropped().
  const std::vector<LogicalLayer>& layers() const { return layers_; }
  struct Dropped {
    const TensorEntry* entry;
    std::string reason;
  };
  const std::vector<Dropped>& dropped() const { return dropped_; }
  const std::vector<std::string>& notes() const { return notes_; }
  const Checkpoint& source() const { return source_; }

  enum class Parts : uint8_t { kAll, kAllButWeight };
  virtual Result<LinearRecord> Read(const LogicalLayer& layer, Parts parts) const = 0;

 protected:
  const Checkpoint& source_;
  std::vector<LogicalLayer> layers_;
  std::vector<Dropped> dropped_;
  std::vector<std::string> notes_;
};

// By the source's dialect. Errors name the tensor that is missing, misshapen or not understood.
Result<std::unique_ptr<LayerReader>> OpenLayers(const Checkpoint& source);
// Lenient, for slim-verify and dialects of other ecosystems: what is amiss with a layer is added to
// `problems`, and the layer is left out. An error only where the system refuses to read.
Result<std::unique_ptr<LayerReader>> InspectLayers(const Checkpoint& source,
                                                   std::vector<Error>& problems);

// A tensor that belongs to no linear layer, or a float one.
LogicalLayer PlainLayer(const TensorEntry& entry);
// One value where `wanted` has several, repeated; converted to its dtype (F32, F16, BF16).
Result<Tensor> Expanded(const Tensor& tensor, const PartSpec& wanted);
// The common case of a part that is stored as it is, with the shape the record wants (the same
// number of elements: [n] for [n, 1]).
Result<Tensor> ReadPartAs(const Checkpoint& source, const TensorEntry& entry, const Shape& shape);

}  // namespace slim
