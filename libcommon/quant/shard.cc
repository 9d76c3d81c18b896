#include "quant/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <unordered_set>

#include "base/text.h"
#include "base/version.h"
#include "checkpoint/checkpoint.h"
#include "verify/verify.h"

namespace slim {
namespace {

constexpr uint64_t kMostShards = 4096;

Json GlobalsJson(const DescriptionGlobals& globals) {
  Json json = Json::Object();
  json.Set("model_quant_type", globals.model_quant_type).Set("group_size", globals.group_size);
  if (globals.metadata) json.Set("metadata", *globals.metadata);
  if (globals.optional) json.Set("optional", *globals.optional);
  Json others = Json::Object();
  for (const auto& [key, value] : globals.others) others.Set(key, value);
  return json.Set("others", std::move(others));
}

Json TensorsJson(const WritePlan& plan) {
  Json list = Json::Array();
  for (const PlannedTensor& tensor : plan.tensors) {
    Json shape = Json::Array();
    for (const uint64_t size : tensor.spec.shape) shape.Push(size);
    Json item = Json::Object();
    item.Set("name", tensor.spec.name).Set("dtype", DTypeName(tensor.spec.dtype));
    list.Push(std::move(item.Set("shape", std::move(shape)).Set("label", tensor.label)));
  }
  return list;
}

Json ReceiptJson(const Receipt& receipt) {
  Json inputs = Json::Array();
  for (const FileDigest& input : receipt.inputs) {
    Json item = Json::Object();
    item.Set("name", input.name).Set("bytes", input.bytes).Set("xxh3_128", input.xxh3_128);
    inputs.Push(std::move(item));
  }
  Json notes = Json::Array();
  for (const ReceiptNote& note : receipt.notes) {
    Json item = Json::Object();
    notes.Push(std::move(item.Set("layer", note.layer).Set("note", note.note)));
  }
  Json json = Json::Object();
  json.Set("configuration", receipt.configuration).Set("inputs", std::move(inputs));
  json.Set("loss_class", receipt.loss_class).Set("loss", receipt.loss);
  return json.Set("notes", std::move(notes));
}

// Members of slim_shard.json, each an error when it is missing or of another kind.
class PartReader {
 public:
  explicit PartReader(std::string path) : path_(std::move(path)) {}

  Error Refuse(std::string message) const {
    return InputError("MERGE-part", std::move(message)).WithPath(path_);
  }
  Result<std::string> Text(const Json& object, std::string_view key) const {
    const Json* found = object.Find(key);
    if (found == nullptr || !found->AsString()) return Refuse(fmt::format("{} is no text", key));
    return std::string(*found->AsString());
  }
  Result<uint64_t> Number(const Json& object, std::string_view key) const {
    const Json* found = object.Find(key);
    const auto value = found == nullptr ? std::nullopt : found->AsInteger();
    if (!value || *value < 0) return Refuse(fmt::format("{} is no count", key));
    return static_cast<uint64_t>(*value);
  }
  Result<const Json*> Member(const Json& object, std::string_view key, Json::Kind kind) const {
    const Json* found = object.Find(key);
    if (found == nullptr || found->kind() != kind) return Refuse(fmt::format("{} is missing", key));
    return found;
  }

  Result<ShardOf> Shard(const Json& json) const {
    ShardOf shard;
    SLIM_ASSIGN(shard.index, Number(json, "shard"));
    SLIM_ASSIGN(shard.count, Number(json, "shards"));
    if (shard.count < 1 || shard.count > kMostShards || shard.index < 1 ||
        shard.index > shard.count)
      return Refuse(fmt::format("shard {} of {} is impossible", shard.index, shard.count));
    return shard;
  }

  Result<WritePlan> Plan(const Json& json) const {
    WritePlan plan;
    SLIM_ASSIGN(const std::string layout, Text(json, "layout"));
    auto dialect = ParseDialect(layout);
    if (!dialect.ok()) return Refuse(dialect.error().message);
    plan.dialect = *dialect;
    SLIM_ASSIGN(plan.part_size, Number(json, "part_size"));
    const Json* names = json.Find("shard_names");
    plan.shard_names = names != nullptr && names->AsBool().value_or(false);
    SLIM_ASSIGN(const Json* globals, Member(json, "globals", Json::Kind::kObject));
    SLIM_ASSIGN(plan.globals.model_quant_type, Text(*globals, "model_quant_type"));
    SLIM_ASSIGN(const uint64_t group_size, Number(*globals, "group_size"));
    plan.globals.group_size = static_cast<int64_t>(group_size);
    if (const Json* value = globals->Find("metadata")) plan.globals.metadata = *value;
    if (const Json* value = globals->Find("optional")) plan.globals.optional = *value;
    SLIM_ASSIGN(const Json* others, Member(*globals, "others", Json::Kind::kObject));
    plan.globals.others = others->members();
    SLIM_ASSIGN(const Json* metadata, Member(json, "metadata", Json::Kind::kObject));
    for (const auto& [key, value] : metadata->members())
      plan.metadata.emplace_back(key, value.text());
    SLIM_ASSIGN(const Json* tensors, Member(json, "tensors", Json::Kind::kArray));
    for (const Json& item : tensors->items()) {
      SLIM_ASSIGN(PlannedTensor tensor, Tensor(item));
      plan.tensors.push_back(std::move(tensor));
    }
    return plan;
  }

  Result<PlannedTensor> Tensor(const Json& item) const {
    PlannedTensor tensor;
    SLIM_ASSIGN(tensor.spec.name, Text(item, "name"));
    SLIM_ASSIGN(const std::string dtype, Text(item, "dtype"));
    const auto parsed = ParseDType(dtype);
    if (!parsed) return Refuse(fmt::format("dtype {} is unknown", Quote(dtype)));
    tensor.spec.dtype = *parsed;
    SLIM_ASSIGN(const Json* shape, Member(item, "shape", Json::Kind::kArray));
    for (const Json& size : shape->items()) {
      const auto value = size.AsInteger();
      if (!value || *value < 0) return Refuse("a shape holds what is no count");
      tensor.spec.shape.push_back(static_cast<uint64_t>(*value));
    }
    SLIM_ASSIGN(tensor.label, Text(item, "label"));
    return tensor;
  }

  Result<Receipt> ReadReceipt(const Json& json) const {
    SLIM_ASSIGN(const Json* object, Member(json, "receipt", Json::Kind::kObject));
    Receipt receipt;
    receipt.tool = "slim-quant";
    SLIM_ASSIGN(const Json* configuration, Member(*object, "configuration", Json::Kind::kObject));
    receipt.configuration = *configuration;
    SLIM_ASSIGN(const Json* inputs, Member(*object, "inputs", Json::Kind::kArray));
    for (const Json& item : inputs->items()) {
      FileDigest& input = receipt.inputs.emplace_back();
      SLIM_ASSIGN(input.name, Text(item, "name"));
      SLIM_ASSIGN(input.bytes, Number(item, "bytes"));
      SLIM_ASSIGN(input.xxh3_128, Text(item, "xxh3_128"));
    }
    SLIM_ASSIGN(const Json* notes, Member(*object, "notes", Json::Kind::kArray));
    for (const Json& item : notes->items()) {
      ReceiptNote& note = receipt.notes.emplace_back();
      SLIM_ASSIGN(note.layer, Text(item, "layer"));
      SLIM_ASSIGN(note.note, Text(item, "note"));
    }
    SLIM_ASSIGN(receipt.loss_class, Text(*object, "loss_class"));
    SLIM_ASSIGN(const Json* loss, Member(*object, "loss", Json::Kind::kObject));
    receipt.loss = *loss;
    return receipt;
  }

 private:
  std::string path_;
};

struct Part {
  std::string path;
  ShardOf shard;
  Json json;  // slim_shard.json without the member that tells the parts apart
  Checkpoint checkpoint;
};

Result<Part> OpenPart(const std::string& path) {
  const std::string file = JoinPath(path, kShardFileName);
  auto text = ReadWholeFile(file, 1ULL << 30);
  if (!text.ok()) {
    if (text.error().code != ErrorCode::kInput) return std::move(text).error();
    return InputError("MERGE-part", "is no part that slim-quant --shard made",
                      fmt::format("{} is missing", kShardFileName))
        .WithPath(path);
  }
  auto json =
      ParseJson(*text, {.max_bytes = 1ULL << 30, .max_depth = 64, .max_values = 40'000'000});
  if (!json.ok()) return std::move(json).error().WithPath(file);
  const PartReader reader(file);
  if (!json->is_object()) return reader.Refuse("is no object");
  SLIM_ASSIGN(const std::string version, reader.Text(*json, "version"));
  if (version != kVersion) {
    return reader.Refuse(fmt::format("was made by slim {}, this is {}", Quote(version), kVersion));
  }
  SLIM_ASSIGN(const ShardOf shard, reader.Shard(*json));
  json->Remove("shard");
  SLIM_ASSIGN(Checkpoint checkpoint, Checkpoint::Open(path));
  return Part{path, shard, std::move(*json), std::move(checkpoint)};
}

// All of one run, each once; sorted by index.
Status CheckParts(std::vector<Part>& parts) {
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.shard.index < b.shard.index; });
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!(parts[i].json == parts[0].json)) {
      return InputError("MERGE-other",
                        fmt::format("is not of the same run as {}: other settings, input or number "
                                    "of shards",
                                    Quote(parts[0].path)))
          .WithPath(parts[i].path);
    }
    if (i > 0 && parts[i].shard.index == parts[i - 1].shard.index) {
      return InputError("MERGE-twice", fmt::format("is shard {} again, as {} is",
                                                   parts[i].shard.index, Quote(parts[i - 1].path)))
          .WithPath(parts[i].path);
    }
  }
  for (uint64_t i = 1; i <= parts[0].shard.count; ++i) {
    if (i <= parts.size() && parts[i - 1].shard.index == i) continue;
    return InputError("MERGE-missing",
                      fmt::format("shard {} of {} is not among the parts", i, parts[0].shard.count),
                      fmt::format("slim-quant … --shard {}/{} makes it", i, parts[0].shard.count));
  }
  return {};
}

Status CopyTensors(const std::vector<Part>& parts, CheckpointWriter& writer, Listener& listener) {
  uint64_t done = 0;
  for (const PlannedTensor& tensor : writer.plan().tensors) {
    listener.Progress("tensors", done++, writer.plan().tensors.size());
    const Part* owner = nullptr;
    for (const Part& part : parts) {
      if (part.checkpoint.Find(tensor.spec.name) == nullptr) continue;
      if (owner != nullptr) {
        return InputError("MERGE-twice", fmt::format("is in {}, too", Quote(owner->path)))
            .WithTensor(tensor.spec.name)
            .WithPath(part.path);
      }
      owner = &part;
    }
    if (owner == nullptr)
      return InputError("MERGE-missing", "is in no part").WithTensor(tensor.spec.name);
    const TensorEntry& entry = *owner->checkpoint.Find(tensor.spec.name);
    if (entry.dtype != tensor.spec.dtype || entry.shape != tensor.spec.shape) {
      return InputError("MERGE-part", "has another dtype or shape than planned")
          .WithTensor(tensor.spec.name)
          .WithPath(owner->path);
    }
    SLIM_TRY(writer.Copy(tensor.spec.name, [&](std::span<std::byte> bytes, uint64_t offset) {
      return owner->checkpoint.ReadPart(entry, bytes, offset);
    }));
  }
  return {};
}

Status CopySideFiles(const Part& part, CheckpointWriter& writer) {
  SLIM_ASSIGN(const std::vector<DirectoryEntry> entries, ListDirectory(part.path));
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind != FileKind::kRegular || entry.name == kShardFileName ||
        entry.name.ends_with(".safetensors"))
      continue;
    SLIM_ASSIGN(const File file, File::Open(JoinPath(part.path, entry.name)));
    SLIM_TRY(writer.CopySideFile(file, entry.name));
  }
  return {};
}

Status VerifyMerged(const std::string& path, int threads) {
  VerifyOptions verify;
  verify.threads = threads;
  SLIM_ASSIGN(const VerifyReport report, VerifyCheckpoint(path, verify, SilentListener()));
  for (const Finding& finding : report.findings) {
    if (finding.severity != Severity::kError) continue;
    return InputError("MERGE-part", fmt::format("what was joined does not pass {}: {}",
                                                finding.rule, finding.message))
        .WithTensor(finding.tensor);
  }
  return {};
}

}  // namespace

Result<ShardOf> ParseShard(std::string_view text) {
  ShardOf shard;
  const size_t slash = text.find('/');
  const auto read = [](std::string_view digits, uint64_t& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  const bool good = slash != std::string_view::npos && read(text.substr(0, slash), shard.index) &&
                    read(text.substr(slash + 1), shard.count) && shard.index >= 1 &&
                    shard.index <= shard.count && shard.count <= kMostShards;
  if (good) return shard;
  return UsageError(fmt::format("--shard {} is no I/N with I from 1 to N", Quote(text)),
                    "--shard 2/4 is the second of four");
}

WritePlan PartPlan(const WritePlan& whole, const std::vector<std::string>& tensors) {
  const std::unordered_set<std::string_view> wanted(tensors.begin(), tensors.end());
  WritePlan plan;
  plan.dialect = Dialect::kHf;
  for (const PlannedTensor& tensor : whole.tensors) {
    if (wanted.contains(tensor.spec.name)) plan.tensors.push_back(tensor);
  }
  return plan;
}

Json ShardJson(const ShardOf& shard, const WritePlan& whole, const Receipt& receipt) {
  Json metadata = Json::Object();
  for (const auto& [key, value] : whole.metadata) metadata.Set(key, value);
  Json json = Json::Object();
  json.Set("tool", "slim-quant").Set("version", kVersion).Set("kind", "shard");
  json.Set("shard", shard.index).Set("shards", shard.count);
  json.Set("layout", TraitsOf(whole.dialect).name).Set("globals", GlobalsJson(whole.globals));
  json.Set("part_size", whole.part_size).Set("shard_names", whole.shard_names);
  json.Set("metadata", std::move(metadata)).Set("tensors", TensorsJson(whole));
  return json.Set("receipt", ReceiptJson(receipt));
}

Result<MergeSummary> MergeShards(const std::vector<std::string>& paths, const std::string& output,
                                 const OutputOptions& options, int threads, Listener& listener) {
  std::vector<Part> parts;
  for (const std::string& path : paths) {
    SLIM_ASSIGN(Part part, OpenPart(path));
    parts.push_back(std::move(part));
  }
  SLIM_TRY(CheckParts(parts));
  const PartReader reader(JoinPath(parts[0].path, kShardFileName));
  SLIM_ASSIGN(WritePlan plan, reader.Plan(parts[0].json));
  SLIM_ASSIGN(Receipt receipt, reader.ReadReceipt(parts[0].json));
  SLIM_ASSIGN(CheckpointWriter writer,
              CheckpointWriter::Create(std::move(plan), output, options, listener));
  SLIM_TRY(CopyTensors(parts, writer, listener));
  SLIM_TRY(CopySideFiles(parts[0], writer));
  SLIM_TRY(writer.Finish());
  ThreadPool pool(threads);
  SLIM_TRY(WriteReceiptFile(writer, std::move(receipt), pool));
  SLIM_TRY(VerifyMerged(writer.PartialPath(), threads));
  MergeSummary summary{output, parts.size(), writer.plan().tensors.size(),
                       writer.plan().TotalBytes()};
  SLIM_TRY(writer.Commit());
  return summary;
}

}  // namespace slim
