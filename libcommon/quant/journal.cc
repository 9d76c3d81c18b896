#include "quant/journal.h"

#include <fmt/format.h>

#include <charconv>

#include "base/version.h"
#include "linear/scheme.h"
#include "os/digest.h"

namespace slim {
namespace {

constexpr int kShare = 10;  // time between two states, in times what keeping one takes

}  // namespace

std::string RunKey(const Checkpoint& source, const QuantPlan& plan, const QuantOptions& options,
                   const std::vector<CalibrationTokens>& texts) {
  Xxh3Hasher hasher;
  const auto add = [&](std::string_view text) { hasher.Update(std::as_bytes(std::span(text))); };
  add(fmt::format("{}\n{}\n{}/{}\n", kVersion, DumpJson(RecipeJson(options.recipe)),
                  options.shard.index, options.shard.count));
  for (const CalibrationTokens& text : texts) {
    add("text\n");
    for (const std::vector<int32_t>& sample : text.samples) {
      add(fmt::format("{}\n", sample.size()));
      hasher.Update(std::as_bytes(std::span(sample)));
    }
  }
  for (const PlannedTensor& tensor : plan.write.tensors) {
    add(fmt::format("{} {} {} {}\n", tensor.spec.name, DTypeName(tensor.spec.dtype),
                    ShapeText(tensor.spec.shape), tensor.label));
  }
  add(source.FilesIdentity());
  add(source.config_text());
  return hasher.Finish();
}

std::set<std::string> WrittenModules(const QuantPlan& plan, const CheckpointWriter& writer) {
  std::set<std::string> written;
  std::set<std::string> missing;
  for (const PlannedTensor& tensor : plan.write.tensors) {
    const std::string module(SplitTensorName(tensor.spec.name).module);
    (writer.Has(tensor.spec.name) ? written : missing).insert(module);
  }
  for (const std::string& module : missing) written.erase(module);
  return written;
}

uint64_t BlockJournal::TakeUp(CalibrationPass& pass, uint64_t blocks, Listener& listener) {
  const auto& state = writer_.saved_state();
  if (!state) return 0;
  uint64_t block = 0;
  const char* end = state->tag.data() + state->tag.size();
  const auto [stop, error] = std::from_chars(state->tag.data(), end, block);
  auto bytes = writer_.ReadSavedState();
  if (error == std::errc() && stop == end && bytes.ok() && block <= blocks &&
      pass.Restore(*bytes).ok())
    return block;
  listener.Warning("the activations of the interrupted run are damaged: beginning at block 0");
  return 0;
}

Status BlockJournal::BlockDone(uint64_t next, const CalibrationPass& pass) {
  const auto begin = std::chrono::steady_clock::now();
  if (begin - last_ < kShare * cost_) return {};
  SLIM_TRY(writer_.SaveState(std::to_string(next), pass.State()));
  last_ = std::chrono::steady_clock::now();
  cost_ = last_ - begin;
  return {};
}

}  // namespace slim
