// Every linear's input and output (of routers the input), every block's output, the embedding's and
// the logits of each call of a model, as files. Nothing in them names a time, a host or a process:
// the same run writes the same bytes.
//
// safetensors: DIR/<call>/<part>.safetensors, part being the embedding, a block or lm_head, with
//   tensors "<module>.input" and "<module>.output" F32 [tokens, width]; calls count from 0. The
//   embedding's file has input_ids I32 [tokens], too.
// msit: what msit's torch hook saves and `msit llm compare` reads, DIR/msit_dump/torch_tensors/
//   cpu_0/<call>/root.<module>/input_0.pth and output.pth, float32 [1, tokens, width] (of experts
//   [tokens, width]), and model_tree.json beside the calls. Source: msit,
//   msit_llm/dump/torch_dump/dump_hook.py, topo.py; the process number is always 0.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/listener.h"
#include "model/model_config.h"
#include "os/output.h"
#include "run/layer_observer.h"
#include "tensor/shape.h"

namespace slim {

enum class DumpFormat : uint8_t { kSafetensors, kMsit };

class LayerDump : public LayerObserver {
 public:
  // Refuses what OutputDirectory::Create refuses.
  static Result<std::unique_ptr<LayerDump>> Create(const std::string& directory, DumpFormat format,
                                                   const ModelConfig& config,
                                                   const OutputOptions& options,
                                                   Listener& listener);

  void BeginCall(std::span<const int32_t> tokens) override;
  void Input(std::string_view module, const float* x, uint64_t t, uint64_t k) override;
  void Output(std::string_view module, const float* y, uint64_t t, uint64_t n) override;
  Status EndPart(std::string_view part) override;

  // After the last call: the directory gets its name.
  Status Commit();

 private:
  // A tensor that was shown and not written yet.
  struct Shown {
    std::string module;
    bool input = false;
    Shape shape;
    std::vector<float> values;
  };
  LayerDump(OutputDirectory output, DumpFormat format, const ModelConfig& config)
      : output_(std::move(output)), format_(format), config_(config) {}
  Status MakeCallDirectory();
  Status WriteSafetensors(std::string_view part);
  Status WritePth();

  OutputDirectory output_;
  DumpFormat format_;
  ModelConfig config_;
  uint64_t calls_ = 0;     // begun
  bool new_call_ = false;  // its directory is still to be made
  std::vector<int32_t> ids_;
  std::vector<Shown> shown_;
};

}  // namespace slim
