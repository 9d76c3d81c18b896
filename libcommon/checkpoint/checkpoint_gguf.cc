// Checkpoint over GGUF files: tensors by llama.cpp's names, config.json and tokenizer from the
// metadata where the directory has none.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/dialects/gguf_tokenizer.h"
#include "checkpoint/dialects/rotary_factors.h"

namespace slim {
namespace {

constexpr uint64_t kMostRotaryFactors = 1 << 20;

// The values of rope_freqs.weight where one of the files has it as floats.
Result<std::vector<float>> ReadRotaryFactors(const std::vector<Shard>& shards) {
  for (const Shard& shard : shards) {
    for (const GgufTensor& tensor : shard.gguf->tensors) {
      if (tensor.name != kRotaryFactors || tensor.type->dtype != DType::kF32) continue;
      std::vector<float> factors(std::min(tensor.size / sizeof(float), kMostRotaryFactors));
      SLIM_TRY(shard.file.ReadExactAt(std::as_writable_bytes(std::span(factors)),
                                      shard.gguf->data_start + tensor.offset));
      return factors;
    }
  }
  return std::vector<float>();
}

}  // namespace

Result<Shard> Checkpoint::OpenGgufShard(const std::string& name, File file) const {
  SLIM_ASSIGN(GgufHeader header, ReadGgufHeader(file));
  SafetensorsHeader plain;
  plain.data_start = header.data_start;
  for (const GgufTensor& tensor : header.tensors) {
    HeaderTensor entry{tensor.name, DType::kU8, {}, tensor.offset, tensor.offset + tensor.size, {}};
    if (tensor.type->id == kGgmlQ8_0) {
      entry.shape = StoredQ8_0Shape(tensor.shape);
    } else if (tensor.type->dtype) {
      entry.dtype = *tensor.type->dtype;
      entry.shape = tensor.shape;
    } else {
      return InputError("GG-unread",
                        fmt::format("is {}; F32, F16, BF16 and Q8_0 are read", tensor.type->name),
                        "make a Q8_0 or BF16 file of the original model")
          .WithTensor(tensor.name)
          .WithPath(file.path());
    }
    plain.tensors.push_back(std::move(entry));
  }
  auto kept = std::make_shared<const GgufHeader>(std::move(header));
  return Shard{name, std::move(file), std::move(plain), std::move(kept), {}};
}

// The first file of a split model has the metadata, all have their part of the tensors.
Status Checkpoint::FinishGguf() {
  if (!problems_.empty() || shards_.empty()) return {};
  GgufHeader whole = *shards_.front().gguf;
  for (size_t i = 0; i < shards_.size(); ++i) {
    const GgufHeader& header = *shards_[i].gguf;
    const GgufValue* count = header.Find("split.count");
    const GgufValue* number = header.Find("split.no");
    const auto files = static_cast<int64_t>(shards_.size());
    const int64_t said = count == nullptr ? 1 : count->AsInteger().value_or(0);
    const int64_t place = number == nullptr ? 0 : number->AsInteger().value_or(-1);
    if (said != files || (files > 1 && place != static_cast<int64_t>(i))) {
      return InputError("GG-split",
                        fmt::format("says it is file {} of {}, it is {} of {} by its name",
                                    place + 1, said, i + 1, files),
                        "name the files as they were made")
          .WithPath(shards_[i].file.path());
    }
    if (i > 0)
      whole.tensors.insert(whole.tensors.end(), header.tensors.begin(), header.tensors.end());
  }
  const std::string path = shards_.front().file.path();
  if (!config_) {
    SLIM_ASSIGN(const std::vector<float> rotary_factors, ReadRotaryFactors(shards_));
    auto text = ConfigOfGguf(whole, rotary_factors);
    if (!text.ok()) {
      problems_.push_back(std::move(text).error().WithPath(path));
      return {};
    }
    SetConfig(std::move(*text), path);
    made_notes_.emplace_back("config.json is rebuilt from the file's metadata");
  }
  if (HasFile("tokenizer.json")) return {};
  for (MadeFile& file : TokenizerOfGguf(whole, made_notes_)) {
    if (!HasFile(file.name)) made_files_.push_back(std::move(file));
  }
  return {};
}

}  // namespace slim
