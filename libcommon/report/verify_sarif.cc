#include "report/verify_sarif.h"

#include <fmt/format.h>

#include "base/version.h"

namespace slim {
namespace {

Json Text(std::string_view text) {
  Json json = Json::Object();
  json.Set("text", text);
  return json;
}

// RFC 3986: a path as the path of a URI reference.
std::string UriPath(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return out;
}

Json RuleJson(const Rule& rule) {
  Json configuration = Json::Object();
  configuration.Set("level", SeverityName(rule.severity));
  Json json = Json::Object();
  json.Set("id", rule.id);
  json.Set("shortDescription", Text(rule.text));
  json.Set("fullDescription", Text(rule.why));
  json.Set("help", Text(rule.fix));
  json.Set("defaultConfiguration", std::move(configuration));
  return json;
}

Json LocationsJson(const Finding& finding) {
  Json artifact = Json::Object();
  artifact.Set("uri", UriPath(finding.path));
  // Code hosts show no result without a line.
  Json region = Json::Object();
  region.Set("startLine", 1);
  Json physical = Json::Object();
  physical.Set("artifactLocation", std::move(artifact));
  physical.Set("region", std::move(region));
  Json location = Json::Object();
  location.Set("physicalLocation", std::move(physical));
  if (!finding.tensor.empty()) {
    Json name = Json::Object();
    name.Set("fullyQualifiedName", finding.tensor);
    name.Set("kind", "member");
    Json names = Json::Array();
    names.Push(std::move(name));
    location.Set("logicalLocations", std::move(names));
  }
  Json locations = Json::Array();
  locations.Push(std::move(location));
  return locations;
}

Json ResultJson(const Finding& finding) {
  const std::string subject = finding.tensor.empty() ? "" : finding.tensor + ": ";
  Json json = Json::Object();
  json.Set("ruleId", finding.rule);
  // A rule that the table lacks has no index.
  if (const Rule* rule = FindRule(finding.rule); rule != nullptr)
    json.Set("ruleIndex", static_cast<uint64_t>(rule - AllRules().data()));
  json.Set("level", SeverityName(finding.severity));
  json.Set("message", Text(subject + finding.message));
  json.Set("locations", LocationsJson(finding));
  return json;
}

Json NotificationJson(const VerifyOutcome& outcome) {
  Json json = Json::Object();
  json.Set("level", "error");
  json.Set("message", Text(outcome.error()->ToString()));
  return json;
}

}  // namespace

Json VerifySarif(const std::vector<VerifyOutcome>& outcomes) {
  Json rules = Json::Array();
  for (const Rule& rule : AllRules()) rules.Push(RuleJson(rule));
  Json driver = Json::Object();
  driver.Set("name", "slim-verify");
  driver.Set("version", kVersion);
  driver.Set("rules", std::move(rules));
  Json tool = Json::Object();
  tool.Set("driver", std::move(driver));
  Json results = Json::Array();
  Json notifications = Json::Array();
  for (const VerifyOutcome& outcome : outcomes) {
    if (outcome.report() == nullptr) {
      notifications.Push(NotificationJson(outcome));
      continue;
    }
    for (const Finding& finding : outcome.report()->findings) results.Push(ResultJson(finding));
  }
  Json invocation = Json::Object();
  invocation.Set("executionSuccessful", notifications.items().empty());
  invocation.Set("toolExecutionNotifications", std::move(notifications));
  Json invocations = Json::Array();
  invocations.Push(std::move(invocation));
  Json run = Json::Object();
  run.Set("tool", std::move(tool));
  run.Set("invocations", std::move(invocations));
  run.Set("results", std::move(results));
  Json runs = Json::Array();
  runs.Push(std::move(run));
  Json document = Json::Object();
  document.Set("version", "2.1.0");
  document.Set("runs", std::move(runs));
  return document;
}

}  // namespace slim
