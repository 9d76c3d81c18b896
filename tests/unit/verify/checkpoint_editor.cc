#include "verify/checkpoint_editor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "checkpoint/checkpoint.h"

namespace slim {
namespace {

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  ASSERT_TRUE(file.good()) << path;
}

}  // namespace

CheckpointEditor::CheckpointEditor(const std::string& name) {
  const std::string path = fmt::format("{}/{}", SLIM_TESTDATA, name);
  const auto source = Checkpoint::OpenForeign(path);
  if (!source.ok()) throw std::runtime_error(source.error().ToString());
  for (const TensorEntry& entry : source->tensors()) {
    const auto tensor = source->Read(entry);
    const auto* bytes = reinterpret_cast<const char*>(tensor->data.data());
    const std::string* label =
        source->description() == nullptr ? nullptr : source->description()->Label(entry.name);
    tensors[entry.name] = {entry.dtype, entry.shape, std::string(bytes, entry.size),
                           label == nullptr ? "" : *label, entry.shard};
  }
  if (source->description() != nullptr) {
    for (const auto& entry : source->description()->entries()) {
      if (!entry.is_tensor) globals.emplace_back(entry.key, *entry.value);
    }
  }
  for (const DirectoryEntry& file : source->side_files())
    files[file.name] = source->ReadSideFile(file.name).value();
  const std::string weights = source->shards().front().name;
  shard_names = weights.find("-of-") != std::string::npos;
  weight_stem = weights.substr(0, weights.find(shard_names ? "-0" : ".safetensors"));
  description_name = source->guess().description_file;
  with_index = source->index().has_value();
}

void CheckpointEditor::Add(const std::string& tensor, DType dtype, Shape shape,
                           const std::string& label) {
  const uint64_t size = ByteSize(dtype, shape).value();
  tensors[tensor] = {dtype, std::move(shape), std::string(size, '\0'), label, 0};
}

void CheckpointEditor::SetConfig(const std::string& key, Json value) {
  Json config = ParseJson(files.at("config.json")).value();
  config.Set(key, std::move(value));
  files["config.json"] = DumpJson(config, {.indent = 2});
}

Json* CheckpointEditor::Global(const std::string& key) {
  for (auto& [name, value] : globals) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string CheckpointEditor::Write() {
  for (const auto& entry : std::filesystem::directory_iterator(scratch_.path()))
    std::filesystem::remove_all(entry.path());
  ShardIndex map;
  map.total_size = 0;
  for (uint32_t shard = 0; shard < shard_count; ++shard) {
    std::vector<TensorSpec> specs;
    std::vector<const std::string*> data;
    const std::string name = ShardFileName(weight_stem, shard, shard_count, shard_names);
    for (const auto& [tensor, edited] : tensors) {
      if (edited.shard != shard) continue;
      specs.push_back({tensor, edited.dtype, edited.shape});
      data.push_back(&edited.bytes);
      map.Add(tensor, name);
      *map.total_size += edited.bytes.size();
    }
    const SafetensorsLayout layout = LayOutSafetensors(specs, metadata).value();
    std::string file(layout.file_size, '\0');
    file.replace(0, layout.header.size(), layout.header);
    for (size_t i = 0; i < specs.size(); ++i)
      file.replace(layout.offsets[i], data[i]->size(), *data[i]);
    WriteText(JoinPath(scratch_.path(), name), file);
  }
  if (with_index)
    WriteText(JoinPath(scratch_.path(), IndexFileName(weight_stem)), WriteShardIndex(map));
  if (!description_name.empty()) {
    QuantDescription description;
    for (const auto& [key, value] : globals) description.AddGlobal(key, value);
    for (const auto& [tensor, edited] : tensors) {
      if (!edited.label.empty()) description.AddTensor(tensor, edited.label);
    }
    WriteText(JoinPath(scratch_.path(), description_name), description.Write(4));
  }
  for (const auto& [name, text] : files) WriteText(JoinPath(scratch_.path(), name), text);
  if (after) after(scratch_.path());
  return scratch_.path();
}

void ReplaceInFile(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = ReadAll(path);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  WriteText(path, text.replace(at, from.size(), to));
}

void ChangePage(const std::string& directory,
                const std::function<void(std::string& file, uint64_t page_begin)>& change) {
  constexpr uint64_t kPage = 4096;
  std::string path;
  uint64_t page_begin = 0;
  {
    const auto checkpoint = Checkpoint::Open(directory);
    const TensorEntry* entry = checkpoint->Find("lm_head.weight");
    path = checkpoint->shards()[entry->shard].file.path();
    page_begin = (entry->offset + 2 * kPage - 1) / kPage * kPage;
  }
  std::string text = ReadAll(path);
  change(text, page_begin);
  WriteText(path, text);
}

const Finding* Find(const VerifyReport& report, std::string_view rule) {
  const auto found = std::ranges::find(report.findings, rule, &Finding::rule);
  return found == report.findings.end() ? nullptr : &*found;
}

}  // namespace slim
