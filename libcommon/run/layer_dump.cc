#include "run/layer_dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "checkpoint/safetensors_header.h"
#include "json/json.h"
#include "model/modules.h"
#include "run/pth_file.h"

namespace slim {
namespace {

constexpr std::string_view kMsitFolder = "msit_dump/torch_tensors/cpu_0";

// The class names of transformers: "Qwen2" of Qwen2ForCausalLM.
std::string_view ClassStem(Architecture architecture) {
  switch (architecture) {
    case Architecture::kLlama:
      return "Llama";
    case Architecture::kMistral:
      return "Mistral";
    case Architecture::kQwen2:
      return "Qwen2";
    case Architecture::kQwen3:
      return "Qwen3";
    case Architecture::kQwen2Moe:
      return "Qwen2Moe";
    case Architecture::kQwen3Moe:
      return "Qwen3Moe";
    case Architecture::kDeepseekV2:
      return "DeepseekV2";
    case Architecture::kDeepseekV3:
      return "DeepseekV3";
    case Architecture::kQwen2Vl:
      return "Qwen2VL";
    case Architecture::kQwen25Vl:
      return "Qwen2_5_VL";
  }
  return "";
}

// The class of a module that has children, by its own name.
std::string ClassOf(std::string_view stem, std::string_view name, size_t depth) {
  if (depth == 0) return fmt::format("{}ForCausalLM", stem);
  if (name == "model" || name == "language_model") return fmt::format("{}Model", stem);
  if (name == "layers" || name == "experts") return "ModuleList";
  if (name == "self_attn") return fmt::format("{}Attention", stem);
  const bool number = name.find_first_not_of("0123456789") == std::string_view::npos;
  return number && depth <= 4 ? fmt::format("{}DecoderLayer", stem) : fmt::format("{}MLP", stem);
}

struct Node {
  std::string name;  // the last part
  std::string type;
  std::vector<Node> children;
};

Node& ChildOf(Node& parent, const std::string& name) {
  const auto found = std::find_if(parent.children.begin(), parent.children.end(),
                                  [&](const Node& node) { return node.name == name; });
  if (found != parent.children.end()) return *found;
  parent.children.push_back({name, "", {}});
  return parent.children.back();
}

Json TreeJson(const Node& node, const std::string& path) {
  Json json = Json::Object();
  json.Set("name", path);
  json.Set("type", node.type);
  Json children = Json::Array();
  for (const Node& child : node.children) children.Push(TreeJson(child, path + "." + child.name));
  json.Set("children", std::move(children));
  return json;
}

std::string ModelTree(const ModelConfig& config) {
  const std::string_view stem = ClassStem(config.architecture);
  Node root{"root", ClassOf(stem, "root", 0), {}};
  for (const Module& module : AllModules(config)) {
    if (module.kind == ModuleKind::kParameter) continue;
    Node* node = &root;
    size_t depth = 0;
    for (const std::string& part : Split(module.name, '.')) {
      node = &ChildOf(*node, part);
      ++depth;
      if (node->type.empty()) node->type = ClassOf(stem, part, depth);
    }
    node->type = module.kind == ModuleKind::kNorm        ? fmt::format("{}RMSNorm", stem)
                 : module.kind == ModuleKind::kEmbedding ? "Embedding"
                                                         : "Linear";
  }
  return DumpJson(TreeJson(root, "root"), {.indent = 4}) + "\n";
}

}  // namespace

Result<std::unique_ptr<LayerDump>> LayerDump::Create(const std::string& directory,
                                                     DumpFormat format, const ModelConfig& config,
                                                     const OutputOptions& options,
                                                     Listener& listener) {
  SLIM_ASSIGN(OutputDirectory output, OutputDirectory::Create(directory, options, listener));
  if (format == DumpFormat::kMsit) {
    for (const char* folder : {"msit_dump", "msit_dump/torch_tensors"})
      SLIM_TRY(output.CreateSubdirectory(folder));
    SLIM_TRY(output.CreateSubdirectory(kMsitFolder));
    SLIM_TRY(output.WriteFile(fmt::format("{}/model_tree.json", kMsitFolder), ModelTree(config)));
  }
  return std::unique_ptr<LayerDump>(new LayerDump(std::move(output), format, config));
}

void LayerDump::BeginCall(std::span<const int32_t> tokens) {
  ++calls_;
  new_call_ = true;
  ids_.assign(tokens.begin(), tokens.end());
  shown_.clear();
}

void LayerDump::Input(std::string_view module, const float* x, uint64_t t, uint64_t k) {
  shown_.push_back({std::string(module), true, {t, k}, std::vector<float>(x, x + t * k)});
}

void LayerDump::Output(std::string_view module, const float* y, uint64_t t, uint64_t n) {
  shown_.push_back({std::string(module), false, {t, n}, std::vector<float>(y, y + t * n)});
}

Status LayerDump::MakeCallDirectory() {
  if (!std::exchange(new_call_, false)) return {};
  const uint64_t call = calls_ - 1;
  return output_.CreateSubdirectory(format_ == DumpFormat::kMsit
                                        ? fmt::format("{}/{}", kMsitFolder, call)
                                        : fmt::format("{}", call));
}

Status LayerDump::WriteSafetensors(std::string_view part) {
  std::vector<TensorSpec> specs;
  std::vector<std::span<const std::byte>> contents;
  if (part == EmbeddingName(config_)) {
    specs.push_back({"input_ids", DType::kI32, {ids_.size()}});
    contents.push_back(std::as_bytes(std::span(ids_)));
  }
  for (const Shown& tensor : shown_) {
    specs.push_back(
        {tensor.module + (tensor.input ? ".input" : ".output"), DType::kF32, tensor.shape});
    contents.push_back(std::as_bytes(std::span(tensor.values)));
  }
  SLIM_ASSIGN(const SafetensorsLayout layout, LayOutSafetensors(specs));
  SLIM_ASSIGN(
      OutputFile file,
      output_.CreateFile(fmt::format("{}/{}.safetensors", calls_ - 1, part), layout.file_size));
  SLIM_TRY(file.WriteAt(std::as_bytes(std::span(layout.header)), 0));
  for (size_t i = 0; i < contents.size(); ++i)
    SLIM_TRY(file.WriteAt(contents[i], layout.offsets[i]));
  return file.Close();
}

Status LayerDump::WritePth() {
  std::string made;
  for (const Shown& tensor : shown_) {
    const std::string folder = fmt::format("{}/{}/root.{}", kMsitFolder, calls_ - 1, tensor.module);
    // Input and output of a module follow each other.
    if (folder != made) SLIM_TRY(output_.CreateSubdirectory(folder));
    made = folder;
    Shape shape = tensor.shape;
    if (tensor.module.find(".experts.") == std::string::npos) shape.insert(shape.begin(), 1);
    SLIM_ASSIGN(const std::string bytes, EncodePthFile(shape, tensor.values));
    SLIM_TRY(output_.WriteFile(folder + (tensor.input ? "/input_0.pth" : "/output.pth"), bytes));
  }
  return {};
}

Status LayerDump::EndPart(std::string_view part) {
  SLIM_TRY(MakeCallDirectory());
  SLIM_TRY(format_ == DumpFormat::kMsit ? WritePth() : WriteSafetensors(part));
  shown_.clear();
  return {};
}

Status LayerDump::Commit() { return output_.Commit(); }

}  // namespace slim
