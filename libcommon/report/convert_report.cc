#include "report/convert_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "base/version.h"

namespace slim {
namespace {

constexpr std::string_view kDTypeNote =
    "--dtype bf16|fp16 rewrites deq_scale without loss (F32 values, I64 bits); float tensors of "
    "another dtype are rounded: exact where every value fits, else near, which needs --allow-loss";

std::string TensorLine(const TensorPlan& tensor) {
  std::string dtype(tensor.FromName());
  if (tensor.from != tensor.to) dtype += fmt::format(" -> {}", tensor.ToName());
  std::string shape = ShapeText(tensor.from_shape);
  if (tensor.from_shape != tensor.shape) shape += fmt::format(" -> {}", tensor.ShapeName());
  std::string line = fmt::format("  {:<10}  {:<5}  {}  {} {}", TensorActionName(tensor.action),
                                 LossClassName(tensor.loss), Escape(tensor.name), dtype, shape);
  if (tensor.sqnr_db) {
    line += fmt::format("  weight SQNR {:.2f} dB", *tensor.sqnr_db);
  } else if (tensor.loss != LossClass::kExact) {
    line += fmt::format("  largest relative error {:.3g}", tensor.worst_relative_error);
    if (tensor.to_zero > 0) line += fmt::format(", {} values become zero", tensor.to_zero);
  }
  const bool told = tensor.action == TensorAction::kCopy || tensor.action == TensorAction::kConvert;
  if (!told && !tensor.reason.empty()) line += fmt::format("  {}", Escape(tensor.reason));
  return line + "\n";
}

std::string EditLine(const ConfigEdit& edit) {
  if (edit.action == "renamed")
    return fmt::format("  renamed     config.json: {} to {}\n", edit.key, edit.value);
  if (edit.action == "set")
    return fmt::format("  set         config.json: {} = {}\n", edit.key, edit.value);
  return fmt::format("  removed     config.json: {}\n", edit.key);
}

std::string FileLines(const SideFileChoice& files) {
  std::string text;
  for (const SideFile& file : files.copied)
    text += fmt::format("  copied      {}\n", Escape(file.name));
  for (const SideFile& file : files.left) {
    text += fmt::format("  left        {} ({})\n", Escape(file.name), SideFileKindName(file.kind));
  }
  return text;
}

Json ShapeJson(const Shape& shape) {
  Json dimensions = Json::Array();
  for (const uint64_t dimension : shape) dimensions.Push(dimension);
  return dimensions;
}

Json TensorJson(const TensorPlan& tensor) {
  Json item = Json::Object();
  item.Set("name", tensor.name);
  item.Set("action", TensorActionName(tensor.action));
  item.Set("loss_class", LossClassName(tensor.loss));
  item.Set("source", tensor.source);
  item.Set("label", tensor.label);
  item.Set("dtype_from", tensor.FromName());
  item.Set("dtype_to", tensor.ToName());
  item.Set("shape_from", ShapeJson(tensor.from_shape));
  item.Set("shape", ShapeJson(tensor.shape));
  item.Set("worst_relative_error", Json::Real(tensor.worst_relative_error));
  item.Set("values_to_zero", tensor.to_zero);
  if (tensor.sqnr_db) item.Set("sqnr_db", Json::Real(*tensor.sqnr_db));
  item.Set("reason", tensor.reason);
  return item;
}

Json ConfigJson(const EditedConfig& config) {
  Json edits = Json::Array();
  for (const ConfigEdit& edit : config.edits) {
    Json item = Json::Object();
    item.Set("key", edit.key);
    item.Set("action", edit.action);
    item.Set("value", edit.value);
    edits.Push(std::move(item));
  }
  return edits;
}

Json FilesJson(const std::vector<SideFile>& files) {
  Json list = Json::Array();
  for (const SideFile& file : files) {
    Json item = Json::Object();
    item.Set("name", file.name);
    item.Set("bytes", file.size);
    item.Set("kind", SideFileKindName(file.kind));
    list.Push(std::move(item));
  }
  return list;
}

Json LossJson(const ConvertPlan& plan) {
  const TensorPlan* worst = plan.WorstTensor();
  if (worst == nullptr) return Json();
  Json loss = Json::Object();
  loss.Set("tensor", worst->name);
  loss.Set("worst_relative_error", Json::Real(worst->worst_relative_error));
  return loss;
}

}  // namespace

std::string ConvertPlanText(const ConvertPlan& plan, bool all_tensors) {
  std::string text = fmt::format("{}: {} to {}, {}: {}\n", Escape(plan.input),
                                 DialectName(plan.from), DialectName(plan.to),
                                 LossClassName(plan.loss), FindEdge(plan.from, plan.to)->what);
  text += fmt::format("tensors: {} written ({}), {} of them as they are; {} dropped\n",
                      plan.tensors.size(), HumanSize(plan.bytes()), plan.Unchanged(),
                      plan.dropped.size());
  if (!plan.repairs.empty()) text += "repairs:\n";
  for (const Repair& repair : plan.repairs)
    text += fmt::format("  {}: {}\n", Escape(repair.subject), repair.what);
  for (const TensorPlan& tensor : plan.tensors) {
    if (all_tensors || tensor.action != TensorAction::kCopy) text += TensorLine(tensor);
  }
  for (const TensorPlan& tensor : plan.dropped) text += TensorLine(tensor);
  text += "files:\n";
  for (const ConfigEdit& edit : plan.config.edits) text += EditLine(edit);
  const bool repaired = std::ranges::any_of(
      plan.repairs, [](const Repair& repair) { return repair.subject.starts_with("config.json"); });
  if (plan.config.edits.empty() && !repaired) text += "  copied      config.json\n";
  text += FileLines(plan.side_files);
  for (const std::string& note : plan.notes) text += fmt::format("note: {}\n", Escape(note));
  return text;
}

std::string ConvertPlanJson(const ConvertPlan& plan, const std::optional<std::string>& output) {
  Json json = Json::Object();
  json.Set("tool", "slim-convert");
  json.Set("version", kVersion);
  json.Set("kind", output ? "result" : "plan");
  json.Set("input", plan.input);
  json.Set("output", output ? Json(*output) : Json());
  json.Set("from", DialectName(plan.from));
  json.Set("to", DialectName(plan.to));
  json.Set("model_quant_type", plan.quant_type);
  json.Set("loss_class", LossClassName(plan.loss));
  json.Set("loss", LossJson(plan));
  json.Set("bytes", plan.bytes());
  Json repairs = Json::Array();
  for (const Repair& repair : plan.repairs) {
    Json item = Json::Object();
    item.Set("subject", repair.subject);
    item.Set("what", repair.what);
    repairs.Push(std::move(item));
  }
  json.Set("repairs", std::move(repairs));
  Json tensors = Json::Array();
  for (const auto* list : {&plan.tensors, &plan.dropped}) {
    for (const TensorPlan& tensor : *list) tensors.Push(TensorJson(tensor));
  }
  json.Set("tensors", std::move(tensors));
  json.Set("config", ConfigJson(plan.config));
  json.Set("side_files", FilesJson(plan.side_files.copied));
  json.Set("left_behind", FilesJson(plan.side_files.left));
  Json notes = Json::Array();
  for (const std::string& note : plan.notes) notes.Push(note);
  json.Set("notes", std::move(notes));
  return DumpJson(json, {.indent = 2}) + "\n";
}

std::string ConvertSummary(const ConvertPlan& plan, const std::string& output) {
  return fmt::format("wrote {}: {} to {}, {}, {} tensors, {}", Escape(output),
                     DialectName(plan.from), DialectName(plan.to), LossClassName(plan.loss),
                     plan.tensors.size(), HumanSize(plan.bytes()));
}

std::string LeftBehindText(const SideFile& file) {
  const bool weights = file.kind == SideFileKind::kWeights;
  return fmt::format("not copied: {} ({}){}", Escape(file.name),
                     weights ? "weights or descriptions of another format"
                     : file.kind == SideFileKind::kCode ? "code"
                                                        : "purpose unknown",
                     weights ? "" : "; --keep-extra copies it");
}

std::string ConvertListText() {
  std::string text = "dialects:\n";
  for (const Dialect dialect : AllDialects())
    text += fmt::format("  {:<12}  {}\n", DialectName(dialect), DialectSummary(dialect));
  text += "\nconversions:\n";
  for (const Edge& edge : Edges()) {
    text += fmt::format("  {:<12}  to  {:<12}  {}  {}\n", DialectName(edge.from),
                        DialectName(edge.to), LossClassName(edge.loss), edge.what);
  }
  text += "\ntypes:\n";
  std::map<std::string, std::vector<std::string>> targets;
  for (const Edge& edge : Edges()) {
    if (edge.from == edge.to) continue;
    targets[Join(SchemesOf(edge.from, edge.to), " ")].push_back(
        fmt::format("{} to {}", DialectName(edge.from), DialectName(edge.to)));
  }
  for (const auto& [labels, edges] : targets)
    text += fmt::format("  {}\n    {}\n", labels, Join(edges, "\n    "));
  return text + fmt::format("\n{}\n", kDTypeNote);
}

std::string ConvertListJson() {
  Json json = Json::Object();
  json.Set("tool", "slim-convert");
  json.Set("version", kVersion);
  Json dialects = Json::Array();
  for (const Dialect dialect : AllDialects()) {
    Json item = Json::Object();
    item.Set("name", DialectName(dialect));
    item.Set("summary", DialectSummary(dialect));
    dialects.Push(std::move(item));
  }
  json.Set("dialects", std::move(dialects));
  Json edges = Json::Array();
  for (const Edge& edge : Edges()) {
    Json item = Json::Object();
    item.Set("from", DialectName(edge.from));
    item.Set("to", DialectName(edge.to));
    item.Set("loss_class", LossClassName(edge.loss));
    item.Set("what", edge.what);
    Json types = Json::Array();
    for (const std::string& label : SchemesOf(edge.from, edge.to)) types.Push(label);
    item.Set("types", std::move(types));
    edges.Push(std::move(item));
  }
  json.Set("edges", std::move(edges));
  json.Set("dtype", kDTypeNote);
  return DumpJson(json, {.indent = 2}) + "\n";
}

}  // namespace slim
