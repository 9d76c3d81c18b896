// What every check of slim-verify gets: the open checkpoint, its layers, what could not be read,
// and the place to report to. Internal to verify/.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/layer_reader.h"
#include "verify/layer_tensors.h"
#include "verify/verify.h"

namespace slim {

// The part of a finding that a check knows; the rest comes from the table.
struct FindingDetail {
  std::string_view tensor = {};
  std::string found = {};
  std::string wanted = {};
  std::string message = {};  // empty: "found X, wanted Y"
  std::string path = {};     // empty: the file of the tensor, or the checkpoint
};

class VerifyContext {
 public:
  // `targets` must outlive the context.
  VerifyContext(const Checkpoint& checkpoint, RuleSelection selection,
                const std::vector<LoaderTarget>& targets, ThreadPool& pool);

  const Checkpoint& checkpoint() const { return checkpoint_; }
  const LayerTable& layers() const { return layers_; }
  const QuantDescription* description() const { return checkpoint_.description(); }
  // torch_dtype or dtype of config.json, of its text_config where the top level has none.
  std::optional<DType> model_dtype() const { return model_dtype_; }
  // The description's model_quant_type; empty without one.
  const std::string& quant_type() const { return quant_type_; }
  // True when some weights could not be read: what is absent may be in them.
  bool incomplete() const { return incomplete_; }
  // Tensors have the names and meanings of our own dialects; else a reader shows the layers.
  bool HasPlainTensors() const {
    return (rule_table::kPlain & rule_table::On(checkpoint_.dialect())) != 0;
  }
  bool IsDialect(Dialect dialect) const { return checkpoint_.dialect() == dialect; }

  const std::vector<LoaderTarget>& targets() const { return targets_; }

  // Thread-safe. A rule that does not apply to the dialect or was not chosen is dropped.
  void Report(RuleName rule, FindingDetail detail);
  // What `target` does about it: kDegrades, and kCrashesForward on a chip that was not named, are
  // warnings, everything else has the rule's severity.
  void Report(RuleName rule, const LoaderTarget& target, Effect effect, FindingDetail detail);
  // A problem that opening the checkpoint met.
  void Report(const Error& problem);

  // A read that failed while a check looked at something: what the system refused is no verdict on
  // the checkpoint, so failure() is the first of them that is no fault of the input. Thread-safe.
  void NoteFailure(const Error& error) const;
  Status failure() const;

  // Reads the layers of a dialect of another ecosystem and reports what is amiss with them. An
  // error only where the system refuses to read.
  Status ReadForeign();
  // Those that could be read; null for other dialects.
  const LayerReader* foreign() const { return foreign_.get(); }
  // By the module's, or the tensor's, name.
  const LogicalLayer* FindForeign(std::string_view name) const;

  // Sorted by rule, then by tensor in natural order; empties the context.
  std::vector<Finding> TakeFindings();

 private:
  bool Applies(const Rule& rule) const;
  Finding MakeFinding(const Rule& rule, FindingDetail detail) const;
  void ReadConfig();

  const Checkpoint& checkpoint_;
  RuleSelection selection_;
  const std::vector<LoaderTarget>& targets_;
  LayerTable layers_;
  std::optional<DType> model_dtype_;
  std::string quant_type_;
  bool incomplete_ = false;
  std::unique_ptr<LayerReader> foreign_;
  std::map<std::string_view, const LogicalLayer*> foreign_by_name_;
  mutable std::mutex mutex_;  // guards what follows
  mutable Status failure_;
  std::vector<Finding> findings_;
};

// The checks, one file a topic. All but CheckContainer need a directory.
void CheckContainer(VerifyContext& context);    // container_rules.cc: headers, shards, index
void CheckConfig(VerifyContext& context);       // config_rules.cc: config.json and side files
void CheckDescription(VerifyContext& context);  // description_rules.cc: entries, labels, globals
void CheckLinears(VerifyContext& context);      // linear_rules.cc: parts of a layer by type
void CheckForeign(VerifyContext& context);      // foreign_rules.cc: other ecosystems
void CheckFusedGroups(VerifyContext& context);  // fused_rules.cc: what loaders fuse; norm copies
void CheckModel(VerifyContext& context);        // model_rules.cc: against config.json's sizes
void CheckLoaders(VerifyContext& context, bool deep);  // loader_rules.cc: as each --for would load
// value_rules.cc: every value, streamed, on `threads` threads.
Status CheckValues(VerifyContext& context, int threads, Listener& listener);

}  // namespace slim
