// config.json on its way from one dialect to another: 'quantize', quantization_config and
// torch_dtype are edited, every other byte stays, and the edits of one direction are undone by the
// other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/dialects/dialect.h"
#include "dtype/dtype.h"

namespace slim {

struct ConfigEdit {
  std::string key;
  std::string action;  // "set", "removed" or "renamed"
  std::string value;   // JSON text that was set, or the new key
};

struct EditedConfig {
  std::string text;
  std::vector<ConfigEdit> edits;
  std::vector<std::string> notes;
};

struct ConfigTarget {
  Dialect from = Dialect::kHf;
  Dialect to = Dialect::kHf;
  std::string quant_type;  // lower case; "float" for a float checkpoint
  int64_t group_size = 0;
  std::optional<DType> dtype = {};  // torch_dtype / dtype is set to it
  bool pdmix = false;  // W8A8_MIX layers, which mindie tells by quantization_config.pdmix
  std::string source_quant_type = {};    // before the conversion; empty: the same
  bool dequantized = false;              // nothing in it may speak of quantization any more
  std::string quantization_config = {};  // JSON that becomes the member; empty: none is added
};

// Where quantization_config of the mindie dialect stays in the other dialects: vllm-ascend takes a
// quantization_config without quant_method for the quant description (facts: consumers.md 4.2).
inline constexpr std::string_view kParkedConfigKey = "mindie_quantization_config";

// `text` is an object. To mindie: 'quantize' is set (appended where missing), the parked block gets
// its name back, a group size and pdmix go into quantization_config. From mindie: what appending
// would give back exactly is removed, the rest parked. 'quantize' stays where it is not the last
// member: other loaders ignore it (facts: consumers.md 10.2). A float checkpoint has no 'quantize',
// because MindIE refuses "float".
Result<EditedConfig> EditConfig(std::string_view text, const ConfigTarget& target);

}  // namespace slim
