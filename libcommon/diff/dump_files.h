// One tensor of a dump from its file: .npy (numbers, C order), .pth (torch.save of one tensor, read
// as data by checkpoint/torch_file.h) and the .bin of ATB's dumps, a head
// of lines "name=value" that ends with "$End=1", then the values. Sources: NEP 1 of numpy's format;
// msit_llm/common/tool.py.
#pragma once

#include <string>

#include "base/result.h"
#include "tensor/tensor.h"

namespace slim {

// By the name's ending. DIFF-dump-format names what is not understood.
Result<Tensor> ReadDumpFile(const std::string& path);

}  // namespace slim
