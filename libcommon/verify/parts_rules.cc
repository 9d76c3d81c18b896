// A directory of tensor-parallel parts (dialect mindie-parts, source document S003) as a whole: the
// parts there are, what they must have in common, and the rules of the parts themselves.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "checkpoint/dialects/mindie_parts.h"
#include "verify/context.h"
#include "verify/parts_rules.h"

namespace slim {
namespace {

struct PartList {
  std::map<uint64_t, std::string> names;  // by rank
  uint64_t ranks = 0;
};

// The parts by rank; other directories of parts are reported.
PartList FindParts(VerifyContext& context) {
  std::map<uint64_t, std::map<uint64_t, std::string>> by_degree;
  for (const DirectoryEntry& entry : context.checkpoint().listing()) {
    if (entry.kind != FileKind::kDirectory) continue;
    if (const auto part = ParsePartDirectory(entry.name))
      by_degree[part->ranks][part->rank] = entry.name;
  }
  PartList list;
  for (const auto& [ranks, parts] : by_degree) {
    if (parts.size() <= list.names.size()) continue;
    list = {parts, ranks};
  }
  for (const auto& [ranks, parts] : by_degree) {
    if (ranks == list.ranks) continue;
    context.Report("PART-extra",
                   {.found = parts.begin()->second,
                    .wanted = fmt::format("part*-of-{}", list.ranks),
                    .message = fmt::format("{} is a part of {}, the others are of {}",
                                           Quote(parts.begin()->second), ranks, list.ranks),
                    .path = JoinPath(context.checkpoint().path(), parts.begin()->second)});
  }
  for (auto part = list.names.lower_bound(list.ranks); part != list.names.end(); ++part) {
    context.Report("PART-extra", {.found = part->second,
                                  .message = fmt::format("{} has a number beyond its {} parts",
                                                         Quote(part->second), list.ranks),
                                  .path = JoinPath(context.checkpoint().path(), part->second)});
  }
  list.names.erase(list.names.lower_bound(list.ranks), list.names.end());
  return list;
}

void CheckMissing(VerifyContext& context, const PartList& list) {
  if (list.names.size() == list.ranks) return;
  uint64_t missing = 0;
  while (list.names.contains(missing)) ++missing;
  context.Report("PART-missing",
                 {.found = fmt::format("{} parts", list.names.size()),
                  .wanted = fmt::format("{} parts", list.ranks),
                  .message = fmt::format("{} of {} parts are there, the first missing is {}",
                                         list.names.size(), list.ranks,
                                         fmt::format("part{}-of-{}", missing, list.ranks))});
}

// Names, dtypes and labels are those of the first part. One finding a part and kind.
void CompareParts(VerifyContext& context, const Checkpoint& first, const Checkpoint& part) {
  const auto report = [&](std::string_view tensor, std::string message) {
    context.Report("PART-differs",
                   {.tensor = tensor, .message = std::move(message), .path = part.path()});
  };
  const std::string other = BaseName(first.path());
  for (const TensorEntry& entry : first.tensors()) {
    const TensorEntry* twin = part.Find(entry.name);
    if (twin != nullptr && twin->dtype == entry.dtype) continue;
    report(entry.name, twin == nullptr ? fmt::format("is in {}, not here", other)
                                       : fmt::format("is {} here, {} in {}", DTypeName(twin->dtype),
                                                     DTypeName(entry.dtype), other));
    break;
  }
  for (const TensorEntry& entry : part.tensors()) {
    if (first.Find(entry.name) != nullptr) continue;
    report(entry.name, fmt::format("is here, not in {}", other));
    break;
  }
  if (first.description() == nullptr || part.description() == nullptr) return;
  for (const QuantDescription::Entry& entry : first.description()->entries()) {
    if (!entry.is_tensor) continue;
    const std::string* label = part.description()->Label(entry.key);
    if (label != nullptr && *label == entry.label) continue;
    report(entry.key,
           fmt::format("is labelled {} here, {} in {}", label == nullptr ? "not" : Quote(*label),
                       Quote(entry.label), other));
    break;
  }
}

void CheckModelDType(VerifyContext& context) {
  const auto dtype = context.model_dtype();
  if (!dtype || *dtype == DType::kF16) return;
  context.Report("PART-dtype",
                 {.found = std::string(TorchDTypeName(*dtype)),
                  .wanted = "float16",
                  .message = fmt::format("config.json says {}", TorchDTypeName(*dtype)),
                  .path = JoinPath(context.checkpoint().path(), "config.json")});
}

}  // namespace

Status CheckParts(VerifyContext& context, const PartCheck& check, std::vector<Checkpoint>& parts) {
  if (!context.IsDialect(Dialect::kMindIEParts)) return {};
  const PartList list = FindParts(context);
  CheckMissing(context, list);
  CheckModelDType(context);
  for (const auto& [rank, name] : list.names) {
    const std::string path = JoinPath(context.checkpoint().path(), name);
    auto part = Checkpoint::Inspect(path, 1);
    if (part.ok()) {
      parts.push_back(std::move(*part));
      continue;
    }
    if (part.error().code != ErrorCode::kInput) return std::move(part).error();
    context.Report("PART-missing", {.found = name,
                                    .message = fmt::format("{} holds no checkpoint: {}",
                                                           Quote(name), part.error().message),
                                    .path = path});
  }
  for (size_t i = 1; i < parts.size(); ++i) CompareParts(context, parts.front(), parts[i]);
  for (const Checkpoint& part : parts) SLIM_TRY(check(part));
  return {};
}

}  // namespace slim
