#include "convert/repair.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "convert/repair_description.h"

namespace slim {
namespace {

struct Reason {
  std::string_view rule;
  std::string_view text;
};
// Why a repair is impossible, where the rule itself does not say it.
constexpr Reason kReasons[] = {
    {"LD-type", "the loader has no kernel for it: --dequantize, and quantize to a type it has"},
    {"LD-missing-tensor", "nothing else in the checkpoint holds what it held"},
    {"LIN-missing-part", "nothing else in the checkpoint holds what it held"},
    {"LD-shape", "its values are too few or too many: they cannot be made up"},
    {"LIN-shape", "its values are too few or too many: they cannot be made up"},
    {"LD-unknown-tensor", "leaving it out would change what the layer computes"},
    {"LD-unread-tensor", "leaving it out would change what the layer computes"},
    {"LD-offset", "the type has no other place for it: --dequantize, and quantize symmetrically"},
    {"LD-description", "codes without labels: copy the description from where it was made"},
    {"LD-chip", "quantize to a type of this chip"},
    {"LD-expert-differs", "--dequantize, and quantize all experts alike"},
};

}  // namespace

std::vector<std::string> Repairs::ModulesOf(std::string_view rule) const {
  std::vector<std::string> modules;
  for (const Finding& finding : findings) {
    if (finding.rule != rule || finding.tensor.empty()) continue;
    std::string module(SplitTensorName(finding.tensor).module);
    if (std::ranges::find(modules, module) == modules.end()) modules.push_back(std::move(module));
  }
  return modules;
}

Dialect DialectFor(Dialect source, const LoaderTarget& loader) {
  const bool mindie = loader.loader == Loader::kMindie || loader.loader == Loader::kMindieAtb;
  if (source == Dialect::kHf || source == Dialect::kAscendV1 || source == Dialect::kAscendV1V0)
    return source;
  return source == Dialect::kMindIE && mindie ? source : Dialect::kAscendV1;
}

Result<Repairs> RepairStatements(Checkpoint& source, const LoaderTarget& loader, int threads,
                                 Listener& listener) {
  Repairs repairs;
  repairs.loader = loader;
  if (TraitsOf(source.dialect()).is_foreign || source.is_single_file()) return repairs;
  VerifyOptions verify;
  verify.deep = true;
  verify.targets = {loader};
  verify.threads = threads;
  SLIM_ASSIGN(VerifyReport report, VerifyCheckpoint(source.path(), verify, listener));
  for (Finding& finding : report.findings) {
    if (finding.severity == Severity::kError) repairs.findings.push_back(std::move(finding));
  }
  if (source.description() == nullptr || source.config() == nullptr) return repairs;
  QuantDescription description = RepairedDescription(source, repairs);
  SLIM_ASSIGN(std::string config, RepairedConfig(source, description, repairs));
  SLIM_TRY(source.Amend(std::move(description), std::move(config)));
  return repairs;
}

Error CannotRepair(const std::vector<Finding>& left, const LoaderTarget& loader,
                   const std::string& path) {
  const Finding& first = left.front();
  std::map<std::string, uint64_t> counts;
  for (const Finding& finding : left) ++counts[finding.rule];
  std::vector<std::string> rules;
  for (const auto& [rule, count] : counts)
    rules.push_back(count == 1 ? rule : fmt::format("{} × {}", count, rule));
  std::string message = fmt::format("cannot be repaired for {}: {}", loader.name, first.message);
  if (left.size() > 1) message += fmt::format(" ({} findings: {})", left.size(), Join(rules, ", "));
  const auto* reason = std::ranges::find(kReasons, first.rule, &Reason::rule);
  const std::string hint(reason == std::end(kReasons) ? std::string_view(first.fix) : reason->text);
  return InputError(first.rule, message, hint).WithTensor(first.tensor).WithPath(path);
}

}  // namespace slim
