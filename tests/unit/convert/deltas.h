// Checkpoints of testdata/traditional-deltas, put together.
#pragma once

#include <map>
#include <string>

#include "checkpoint/checkpoint_writer.h"
#include "convert/testing.h"
#include "kernels/convert.h"

namespace slim {

inline const std::string kBase = "traditional/mini-qwen2-bfloat16/m0-w8a8";

inline std::string DeltaPath(const std::string& name) {
  return Golden("../traditional-deltas/" + name);
}

// Float tensors whose values fit are kept in BF16; the scripts write F32.
inline Tensor Widen(Tensor tensor) {
  if (tensor.dtype != DType::kBF16) return tensor;
  Tensor wide(DType::kF32, tensor.shape);
  ToFloat(DType::kBF16, tensor.data.data(), wide.as<float>().data(), tensor.elements());
  return wide;
}

// The MindIE-exclusive checkpoint that the scripts wrote.
inline void Compose(const std::string& name, const std::string& path) {
  const Checkpoint base = Checkpoint::Open(Golden(kBase)).value();
  const Checkpoint delta = Checkpoint::Open(DeltaPath(name) + "/delta.safetensors").value();
  const QuantDescription description =
      QuantDescription::Parse(Slurp(DeltaPath(name) + "/description.json")).value();
  std::map<std::string, Tensor> tensors;
  WritePlan plan;
  plan.dialect = Dialect::kMindIE;
  plan.globals = ReadGlobals(description);
  for (const auto& entry : description.entries()) {
    if (!entry.is_tensor) continue;
    const bool changed = delta.Find(entry.key) != nullptr;
    Tensor tensor = changed ? Widen(delta.Read(entry.key).value()) : base.Read(entry.key).value();
    plan.tensors.push_back({{entry.key, tensor.dtype, tensor.shape}, entry.label, 0});
    tensors.emplace(entry.key, std::move(tensor));
  }
  auto writer = CheckpointWriter::Create(plan, path, {.fsync = false}, SilentListener());
  ASSERT_TRUE(writer.ok());
  for (const auto& [key, tensor] : tensors)
    ASSERT_TRUE(writer->Write(key, tensor.data.bytes()).ok());
  ASSERT_TRUE(writer->WriteSideFile("config.json", Slurp(DeltaPath(name) + "/config.json")).ok());
  ASSERT_TRUE(writer->Finish().ok());
  ASSERT_TRUE(writer->Commit().ok());
}

}  // namespace slim
