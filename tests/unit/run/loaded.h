// A checkpoint with its text side and its model, as most tests of run need them.
#pragma once

#include <string>

#include "base/listener.h"
#include "run/model.h"
#include "run/text_model.h"

namespace slim {

inline const std::string kModels = SLIM_TESTDATA "/models/";
inline const std::string kGolden = SLIM_TESTDATA "/golden/";

struct Loaded {
  Checkpoint checkpoint;
  TextModel text;
  Model model;
};

inline Result<Loaded> LoadAll(const std::string& path, Backend backend, ThreadPool& pool) {
  SLIM_ASSIGN(Checkpoint checkpoint, Checkpoint::Open(path));
  SLIM_ASSIGN(const ModelConfig config, ReadModelConfig(checkpoint));
  SLIM_ASSIGN(TextModel text, TextModel::Load(checkpoint, config));
  SLIM_ASSIGN(Model model, Model::Load(checkpoint, backend, pool, SilentListener()));
  return Loaded{std::move(checkpoint), std::move(text), std::move(model)};
}

}  // namespace slim
