// A sound checkpoint of testdata in memory, to be spoiled in one place and written to a scratch
// directory that goes away with the editor.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "dtype/dtype.h"
#include "json/json.h"
#include "scratch.h"
#include "tensor/shape.h"
#include "verify/verify.h"

namespace slim {

struct EditedTensor {
  DType dtype = DType::kF32;
  Shape shape;
  std::string bytes;
  std::string label;  // empty: no entry in the description
  uint32_t shard = 0;
};

class CheckpointEditor {
 public:
  // `name` below testdata, for instance "golden/one-click/mini-qwen2-bfloat16/w8a8-static".
  explicit CheckpointEditor(const std::string& name);
  CheckpointEditor(const CheckpointEditor&) = delete;
  CheckpointEditor& operator=(const CheckpointEditor&) = delete;

  EditedTensor& operator[](const std::string& tensor) { return tensors.at(tensor); }
  template <class T>
  void Set(const std::string& tensor, size_t index, T value) {
    std::memcpy(tensors.at(tensor).bytes.data() + index * sizeof(T), &value, sizeof(T));
  }
  // Zeros of that dtype and shape.
  void Add(const std::string& tensor, DType dtype, Shape shape, const std::string& label);
  void SetConfig(const std::string& key, Json value);
  Json* Global(const std::string& key);

  // Writes everything and returns the directory.
  std::string Write();

  std::map<std::string, EditedTensor> tensors;
  std::vector<std::pair<std::string, Json>> globals;
  std::map<std::string, std::string> files;                   // side files, config.json among them
  std::vector<std::pair<std::string, std::string>> metadata;  // of every weight file
  std::string weight_stem;                                    // "quant_model_weights"
  std::string description_name;                               // empty: none
  uint32_t shard_count = 1;
  bool shard_names = false;
  bool with_index = false;
  std::function<void(const std::string& directory)> after;  // spoils files once written

 private:
  Scratch scratch_;
};

// The first place of a file that has it.
void ReplaceInFile(const std::string& path, const std::string& from, const std::string& to);

// Rewrites the file that holds lm_head.weight. The page of 4096 bytes is inside that tensor, at a
// border of the file's pages and not its first.
void ChangePage(const std::string& directory,
                const std::function<void(std::string& file, uint64_t page_begin)>& change);

// The first finding of a rule, or null.
const Finding* Find(const VerifyReport& report, std::string_view rule);

}  // namespace slim
