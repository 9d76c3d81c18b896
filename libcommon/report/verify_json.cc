#include "report/verify_json.h"

#include "base/version.h"

namespace slim {
namespace {

Json Document() {
  Json document = Json::Object();
  document.Set("tool", "slim-verify");
  document.Set("version", kVersion);
  return document;
}

Json NameList(const std::vector<std::string>& names) {
  Json list = Json::Array();
  for (const std::string& name : names) list.Push(name);
  return list;
}

Json FindingJson(const Finding& finding) {
  Json json = Json::Object();
  json.Set("rule", finding.rule);
  json.Set("severity", SeverityName(finding.severity));
  json.Set("path", finding.path);
  json.Set("tensor", finding.tensor);
  json.Set("found", finding.found);
  json.Set("wanted", finding.wanted);
  json.Set("message", finding.message);
  json.Set("why", finding.why);
  json.Set("fix", finding.fix);
  json.Set("loader", finding.loader.empty() ? Json() : Json(finding.loader));
  json.Set("effect", finding.effect == Effect::kNone ? Json() : Json(EffectName(finding.effect)));
  return json;
}

Json ReportJson(const VerifyReport& report) {
  Json json = Json::Object();
  json.Set("path", report.path);
  json.Set("ok", report.ok());
  const bool manifest = !report.manifest.empty();
  json.Set("dialect", manifest ? Json() : Json(report.DialectName()));
  json.Set("manifest", manifest ? Json(report.manifest) : Json());
  json.Set("quant_type", report.quant_type.empty() ? Json() : Json(report.quant_type));
  json.Set("deep", report.deep);
  json.Set("strict", report.strict);
  json.Set("loaders", NameList(report.loaders));
  json.Set("tensors", report.tensors);
  json.Set("bytes", report.bytes);
  json.Set("errors", report.Count(Severity::kError));
  json.Set("warnings", report.Count(Severity::kWarning));
  json.Set("notes", report.Count(Severity::kNote));
  json.Set("accepted", report.accepted);
  Json findings = Json::Array();
  for (const Finding& finding : report.findings) findings.Push(FindingJson(finding));
  json.Set("findings", std::move(findings));
  return json;
}

Json FailureJson(const std::string& path, const Error& error) {
  Json failure = Json::Object();
  failure.Set("rule", error.rule);
  failure.Set("message", error.ToString());
  failure.Set("exit_code", static_cast<int>(error.code));
  Json json = Json::Object();
  json.Set("path", path);
  json.Set("ok", false);
  json.Set("error", std::move(failure));
  return json;
}

}  // namespace

Json VerifyJson(const std::vector<VerifyOutcome>& outcomes) {
  Json reports = Json::Array();
  for (const VerifyOutcome& outcome : outcomes) {
    reports.Push(outcome.report() != nullptr ? ReportJson(*outcome.report())
                                             : FailureJson(outcome.path, *outcome.error()));
  }
  Json document = Document();
  document.Set("reports", std::move(reports));
  return document;
}

Json ManifestsJson(const std::vector<ManifestSummary>& written) {
  Json list = Json::Array();
  for (const ManifestSummary& summary : written) {
    Json json = Json::Object();
    json.Set("path", summary.path);
    json.Set("manifest", summary.manifest);
    json.Set("files", summary.files);
    json.Set("tensors", summary.tensors);
    json.Set("bytes", summary.bytes);
    list.Push(std::move(json));
  }
  Json document = Document();
  document.Set("manifests", std::move(list));
  return document;
}

Json RulesJson(const std::vector<const Rule*>& rules) {
  Json list = Json::Array();
  for (const Rule* rule : rules) {
    Json json = Json::Object();
    json.Set("id", rule->id);
    json.Set("severity", SeverityName(rule->severity));
    json.Set("deep", rule->depth == RuleDepth::kDeep);
    json.Set("manifest", rule->depth == RuleDepth::kManifest);
    json.Set("dialects", NameList(DialectsOf(*rule)));
    json.Set("types", NameList(TypesOf(*rule)));
    json.Set("loaders", NameList(LoadersOf(*rule)));
    json.Set("text", rule->text);
    json.Set("why", rule->why);
    json.Set("fix", rule->fix);
    list.Push(std::move(json));
  }
  Json document = Document();
  document.Set("rules", std::move(list));
  return document;
}

Json ProfilesJson() {
  Json list = Json::Array();
  for (const LoaderRow& loader : Loaders()) {
    Json json = Json::Object();
    json.Set("name", loader.name);
    json.Set("summary", loader.summary);
    Json versions = Json::Array();
    for (const LoaderVersionRow& row : LoaderVersions()) {
      if (row.loader != loader.loader) continue;
      Json version = Json::Object();
      version.Set("version", row.version);
      version.Set("default", row.is_default);
      version.Set("summary", row.summary);
      versions.Push(std::move(version));
    }
    json.Set("versions", std::move(versions));
    list.Push(std::move(json));
  }
  Json document = Document();
  document.Set("profiles", std::move(list));
  document.Set("chips", NameList(ChipNames()));
  return document;
}

Json TensorListJson(const std::string& path, const std::vector<TensorRow>& rows) {
  Json list = Json::Array();
  for (const TensorRow& row : rows) {
    Json json = Json::Object();
    json.Set("name", row.name);
    json.Set("dtype", DTypeName(row.dtype));
    Json shape = Json::Array();
    for (const uint64_t extent : row.shape) shape.Push(extent);
    json.Set("shape", std::move(shape));
    json.Set("bytes", row.bytes);
    json.Set("label", row.label.empty() ? Json() : Json(row.label));
    json.Set("file", row.shard);
    list.Push(std::move(json));
  }
  Json document = Document();
  document.Set("path", path);
  document.Set("tensors", std::move(list));
  return document;
}

}  // namespace slim
