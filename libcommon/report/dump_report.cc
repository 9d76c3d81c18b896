#include "report/dump_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "base/version.h"

namespace slim {
namespace {

constexpr size_t kWorstRows = 20;

std::string Field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

// "torch.float32", as msit's columns have it.
std::string TorchDType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "torch.float32";
    case DType::kF16:
      return "torch.float16";
    case DType::kBF16:
      return "torch.bfloat16";
    case DType::kF64:
      return "torch.float64";
    case DType::kI8:
      return "torch.int8";
    case DType::kI32:
      return "torch.int32";
    case DType::kI64:
      return "torch.int64";
    default:
      return std::string(DTypeName(dtype));
  }
}

std::string SideCsv(const std::optional<DumpSide>& side) {
  if (!side) return ",,,,,";
  return fmt::format("{},{},{},{},{},{}", Field(Escape(side->path)), TorchDType(side->dtype),
                     Field(ShapeText(side->shape)), side->max, side->min, side->mean);
}

Json SideJson(const std::optional<DumpSide>& side) {
  if (!side) return {};
  Json shape = Json::Array();
  for (const uint64_t size : side->shape) shape.Push(size);
  Json json = Json::Object();
  json.Set("path", side->path).Set("dtype", DTypeName(side->dtype)).Set("shape", std::move(shape));
  json.Set("max", Json::Real(side->max)).Set("min", Json::Real(side->min));
  return json.Set("mean", Json::Real(side->mean));
}

}  // namespace

std::string DumpReportText(const DumpReport& report) {
  std::vector<const DumpRow*> order;
  for (const DumpRow& row : report.rows) {
    if (row.figures) order.push_back(&row);
  }
  std::stable_sort(order.begin(), order.end(), [](const DumpRow* a, const DumpRow* b) {
    return a->figures->cosine_similarity < b->figures->cosine_similarity;
  });
  std::string out = fmt::format("{} tensors of {} and {} compared, the worst by cosine:\n",
                                order.size(), Escape(report.first), Escape(report.second));
  out += fmt::format("  {:>12}  {:>12}  {:>12}  {}\n", "cosine", "max error", "rel. distance",
                     "tensor");
  for (size_t i = 0; i < std::min(order.size(), kWorstRows); ++i) {
    const DumpFigures& figures = *order[i]->figures;
    out += fmt::format("  {:>12.8f}  {:>12.6g}  {:>13.6g}  {}\n", figures.cosine_similarity,
                       figures.max_absolute_error, figures.relative_euclidean_distance,
                       Escape(order[i]->key));
  }
  if (report.Failed() == 0) return out;
  out += fmt::format("{} not compared:\n", report.Failed());
  size_t shown = 0;
  for (const DumpRow& row : report.rows) {
    if (row.figures || shown++ >= kWorstRows) continue;
    out += fmt::format("  {}: {}\n", Escape(row.key), row.fail_reason);
  }
  return out;
}

Json DumpReportJson(const DumpReport& report) {
  Json rows = Json::Array();
  for (const DumpRow& row : report.rows) {
    Json json = Json::Object();
    json.Set("name", row.key).Set("token_id", row.token_id);
    json.Set("golden", SideJson(row.golden)).Set("my", SideJson(row.mine));
    if (row.figures) {
      const DumpFigures& figures = *row.figures;
      json.Set("cosine_similarity", Json::Real(figures.cosine_similarity));
      json.Set("max_relative_error", Json::Real(figures.max_relative_error));
      json.Set("mean_relative_error", Json::Real(figures.mean_relative_error));
      json.Set("max_absolute_error", Json::Real(figures.max_absolute_error));
      json.Set("mean_absolute_error", Json::Real(figures.mean_absolute_error));
      json.Set("kl_divergence", Json::Real(figures.kl_divergence));
      json.Set("relative_euclidean_distance", Json::Real(figures.relative_euclidean_distance));
    }
    json.Set("cmp_fail_reason", row.fail_reason);
    rows.Push(std::move(json));
  }
  Json json = Json::Object();
  json.Set("tool", "slim-diff").Set("version", kVersion).Set("first", report.first);
  return json.Set("second", report.second).Set("tensors", std::move(rows));
}

std::string DumpReportCsv(const DumpReport& report) {
  std::string out =
      "token_id,data_id,golden_data_path,golden_dtype,golden_shape,golden_max_value,"
      "golden_min_value,golden_mean_value,my_data_path,my_dtype,my_shape,my_max_value,my_min_value,"
      "my_mean_value,cosine_similarity,max_relative_error,mean_relative_error,max_absolute_error,"
      "mean_absolute_error,kl_divergence,relative_euclidean_distance,cmp_fail_reason\n";
  for (const DumpRow& row : report.rows) {
    out += fmt::format("{},{},{},{},", row.token_id, row.data_id, SideCsv(row.golden),
                       SideCsv(row.mine));
    if (row.figures) {
      const DumpFigures& f = *row.figures;
      out += fmt::format("{:.10f},{},{},{},{},{},{},", f.cosine_similarity, f.max_relative_error,
                         f.mean_relative_error, f.max_absolute_error, f.mean_absolute_error,
                         f.kl_divergence, f.relative_euclidean_distance);
    } else {
      out += ",,,,,,,";
    }
    out += Field(row.fail_reason) + "\n";
  }
  return out;
}

}  // namespace slim
