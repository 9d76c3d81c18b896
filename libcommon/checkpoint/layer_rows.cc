#include "checkpoint/layer_rows.h"

#include <vector>

#include "checkpoint/fp8_block.h"
#include "kernels/convert.h"

namespace slim {
namespace {

void DequantizeBlockRow(const LogicalLayer& layer, const LinearRecord& record, uint64_t n_index,
                        std::span<float> row) {
  const Tensor& scale = record[Role::kWeightScale];
  const uint64_t columns = layer.groups();
  std::vector<float> factors(columns);
  const uint64_t first = n_index / layer.block[0] * columns;
  ToFloat(scale.dtype, scale.data.data() + first * (DTypeBits(scale.dtype) / 8), factors.data(),
          columns);
  const auto codes = record[Role::kWeight].data.bytes().subspan(n_index * row.size(), row.size());
  DequantizeFp8Blocks(codes, n_index * row.size(), row.size(), layer.block, factors, row);
}

// Act-order: the group of each column is its own.
void DequantizeByGroups(const LogicalLayer& layer, const LinearRecord& record, uint64_t n_index,
                        std::span<float> row) {
  const uint64_t groups = layer.groups();
  std::vector<float> scales(groups);
  std::vector<float> offsets(groups, 0.0F);
  for (uint64_t g = 0; g < groups; ++g) {
    const uint64_t index = n_index * groups + g;
    scales[g] = static_cast<float>(ElementAsDouble(record[Role::kWeightScale].view(), index));
    if (record.Has(Role::kWeightOffset))
      offsets[g] = static_cast<float>(ElementAsDouble(record[Role::kWeightOffset].view(), index));
  }
  const auto codes = record[Role::kWeight].as<int8_t>().subspan(n_index * row.size(), row.size());
  for (size_t j = 0; j < row.size(); ++j) {
    const auto group = static_cast<size_t>(layer.column_groups[j]);
    row[j] = (static_cast<float>(codes[j]) - offsets[group]) * scales[group];
  }
}

}  // namespace

void DequantizeLayerRow(const LogicalLayer& layer, const LinearRecord& record, uint64_t n_index,
                        std::span<float> row) {
  if (!layer.column_groups.empty()) return DequantizeByGroups(layer, record, n_index, row);
  if (layer.block[0] > 0) return DequantizeBlockRow(layer, record, n_index, row);
  DequantizeWeightRow(record, n_index, row);
}

}  // namespace slim
