// What the loader of --for would refuse or read wrongly (facts: consumers.md 10), put right on the
// way through a conversion: labels and globals of the description, config.json, shapes, flavours
// and companions of tensors exactly; fused groups of different types or input scales, and layers
// that the loader builds float, with a declared loss. slim-verify --deep --for says whether that
// was all. Invents nothing: a tensor that holds information and is not there stays missing.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "convert/dialect_forms.h"
#include "verify/profile.h"
#include "verify/verify.h"

namespace slim {

// One thing that was put right.
struct Repair {
  std::string subject;  // tensor, or "config.json: torch_dtype", or "description: group_size"
  std::string what;
};

struct Repairs {
  LoaderTarget loader;
  std::vector<Finding> findings;   // errors that slim-verify --deep --for finds in the source
  std::set<std::string> unwanted;  // tensors that the type of their layer does not have
  std::vector<Repair> done;

  // Modules that findings of this rule are about.
  std::vector<std::string> ModulesOf(std::string_view rule) const;
};

// What --for makes of the dialect without --to: the source's own where the loader reads it, else
// ascendv1; hf of a float checkpoint.
Dialect DialectFor(Dialect source, const LoaderTarget& loader);

// Judges the source and amends its description and config.json (Checkpoint::Amend). A source
// without a description is judged only.
Result<Repairs> RepairStatements(Checkpoint& source, const LoaderTarget& loader, int threads,
                                 Listener& listener);
// The tensors, after they have the form of the dialect that is written. `source` is the amended
// one, and outlives the plans. Errors: LD-… with the tensor where the values do not allow a repair.
Status RepairTensors(FormChange& change, Dialect to, Repairs& repairs);

// The error for what no repair mends, with all that is left; `path` is the source.
Error CannotRepair(const std::vector<Finding>& left, const LoaderTarget& loader,
                   const std::string& path);

}  // namespace slim
