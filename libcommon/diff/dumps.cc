#include "diff/dumps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "diff/dump_files.h"
#include "diff/row_errors.h"
#include "kernels/math.h"
#include "os/file.h"
#include "os/interrupt.h"

namespace slim {
namespace {

constexpr double kEpsilon = 0x1p-23;
constexpr int kDeepest = 12;

bool IsCall(std::string_view word) {
  return !word.empty() && word.size() <= 9 &&
         word.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsPlainDump(std::string_view name) {
  return name.ends_with(".npy") || name.ends_with(".bin") || name.ends_with(".pth");
}

class DumpLister {
 public:
  Status Add(const std::string& path) {
    if (KindOf(path) == FileKind::kDirectory) return AddFolder(path, {}, 0);
    return AddSafetensors(path, {});
  }
  const std::vector<DumpEntry>& entries() const { return entries_; }

 private:
  // The words of a path from the number of the call on; all of them without one.
  static void Name(const std::vector<std::string>& words, DumpEntry& entry) {
    const auto call = std::find_if(words.begin(), words.end(), IsCall);
    const auto begin = call == words.end() ? words.begin() : call;
    if (call != words.end()) entry.token_id = std::stoull(*call);
    entry.key = Join({begin, words.end()}, "/");
  }

  Status AddFolder(const std::string& path, const std::vector<std::string>& words, int depth) {
    SLIM_TRY(CheckInterrupt());
    if (depth > kDeepest)
      return InputError("DIFF-dump-depth", "has too many folders in folders").WithPath(path);
    SLIM_ASSIGN(std::vector<DirectoryEntry> listing, ListDirectory(path));
    std::stable_sort(listing.begin(), listing.end(),
                     [](const DirectoryEntry& a, const DirectoryEntry& b) {
                       return NaturalLess(a.name, b.name);
                     });
    for (const DirectoryEntry& file : listing) {
      const std::string inner = JoinPath(path, file.name);
      std::vector<std::string> names = words;
      if (file.kind == FileKind::kDirectory) {
        names.push_back(file.name);
        SLIM_TRY(AddFolder(inner, names, depth + 1));
      } else if (file.name.ends_with(".safetensors")) {
        SLIM_TRY(AddSafetensors(inner, words));
      } else if (IsPlainDump(file.name)) {
        names.push_back(file.name.substr(0, file.name.rfind('.')));
        DumpEntry entry{"", inner, "", 0};
        Name(names, entry);
        entries_.push_back(std::move(entry));
      }
    }
    return {};
  }

  Status AddSafetensors(const std::string& path, const std::vector<std::string>& words) {
    SLIM_ASSIGN(const Checkpoint file, Checkpoint::Open(path));
    for (const TensorEntry& tensor : file.tensors()) {
      std::vector<std::string> names = words;
      names.push_back(tensor.name);
      DumpEntry entry{"", path, tensor.name, 0};
      Name(names, entry);
      entries_.push_back(std::move(entry));
    }
    return {};
  }

  std::vector<DumpEntry> entries_;
};

Result<Tensor> ReadEntry(const DumpEntry& entry) {
  if (entry.tensor.empty()) return ReadDumpFile(entry.path);
  SLIM_ASSIGN(const Checkpoint file, Checkpoint::Open(entry.path));
  return file.Read(entry.tensor);
}

std::vector<double> Values(const Tensor& tensor) {
  std::vector<double> values(tensor.elements());
  for (uint64_t i = 0; i < values.size(); ++i) values[i] = ElementAsDouble(tensor.view(), i);
  return values;
}

bool HasValues(const Tensor& tensor) {
  return DTypeBits(tensor.dtype) >= 8 && tensor.dtype != DType::kC64;
}

DumpSide SideOf(const DumpEntry& entry, const Tensor& tensor, const std::vector<double>& values) {
  DumpSide side{entry.path, tensor.dtype, tensor.shape, 0, 0, 0};
  if (values.empty()) return side;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  side.min = *low;
  side.max = *high;
  for (const double value : values) side.mean += value;
  side.mean /= static_cast<double>(values.size());
  return side;
}

// Σ p (ln p − ln q) of the softmax of both.
double Divergence(const std::vector<double>& a, const std::vector<double>& b) {
  const double a_max = *std::max_element(a.begin(), a.end());
  const double b_max = *std::max_element(b.begin(), b.end());
  double a_sum = 0, b_sum = 0, weighted = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double p = ExpD(a[i] - a_max);
    a_sum += p;
    b_sum += ExpD(b[i] - b_max);
    weighted += p * ((a[i] - a_max) - (b[i] - b_max));
  }
  return std::max(weighted / a_sum - (LogD(a_sum) - LogD(b_sum)), 0.0);
}

DumpFigures FiguresOf(const std::vector<double>& golden, const std::vector<double>& mine) {
  ErrorSums sums;
  DumpFigures figures;
  for (size_t i = 0; i < golden.size(); ++i) {
    sums.AddPair(golden[i], mine[i]);
    if (!(std::fabs(golden[i]) > kEpsilon)) continue;
    const double relative = std::fabs(mine[i] / golden[i] - 1);
    const double absolute = std::fabs(mine[i] - golden[i]);
    figures.max_relative_error = std::max(figures.max_relative_error, relative);
    figures.max_absolute_error = std::max(figures.max_absolute_error, absolute);
    figures.mean_relative_error += relative;
    figures.mean_absolute_error += absolute;
  }
  figures.mean_relative_error /= static_cast<double>(golden.size());
  figures.mean_absolute_error /= static_cast<double>(golden.size());
  figures.cosine_similarity = sums.Figures().cosine;
  figures.kl_divergence = Divergence(golden, mine);
  if (std::sqrt(sums.signal) > kEpsilon)
    figures.relative_euclidean_distance = std::sqrt(sums.noise / sums.signal);
  return figures;
}

// Why two tensors have no figures, in msit's words; empty when they have.
std::string Failure(const std::vector<double>& golden, const std::vector<double>& mine) {
  const auto finite = [](const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  };
  if (golden.size() != mine.size() || golden.empty()) return "data shape doesn't match.";
  if (!finite(golden)) return "golden_data includes NAN or inf.";
  if (!finite(mine)) return "my_data includes NAN or inf.";
  return "";
}

Status FillRow(const DumpEntry& golden, const DumpEntry& mine, DumpRow& row) {
  SLIM_ASSIGN(const Tensor a, ReadEntry(golden));
  SLIM_ASSIGN(const Tensor b, ReadEntry(mine));
  if (!HasValues(a) || !HasValues(b)) {
    row.fail_reason = "the dtype has no numbers to compare.";
    return {};
  }
  const std::vector<double> first = Values(a);
  const std::vector<double> second = Values(b);
  row.golden = SideOf(golden, a, first);
  row.mine = SideOf(mine, b, second);
  row.fail_reason = Failure(first, second);
  if (row.fail_reason.empty()) row.figures = FiguresOf(first, second);
  return {};
}

// Logits from memory, window after window.
class StoredLogits : public LogitSource {
 public:
  explicit StoredLogits(const SavedLogits& saved) : saved_(saved) {}
  uint64_t vocabulary() const override { return saved_.logits.shape[1]; }
  void BeginWindow() override { position_ = 0; }
  Result<std::span<const float>> Next(std::span<const int32_t> tokens) override {
    const auto rows =
        saved_.logits.as<float>().subspan(position_ * vocabulary(), tokens.size() * vocabulary());
    position_ += tokens.size();
    return std::span<const float>(rows);
  }

 private:
  const SavedLogits& saved_;
  uint64_t position_ = 0;
};

}  // namespace

uint64_t DumpReport::Failed() const {
  return static_cast<uint64_t>(std::count_if(
      rows.begin(), rows.end(), [](const DumpRow& row) { return !row.figures.has_value(); }));
}

bool LooksLikeDump(const std::string& path) {
  const FileKind kind = KindOf(path);
  if (kind == FileKind::kRegular) return path.ends_with(".safetensors");
  if (kind != FileKind::kDirectory || KindOf(JoinPath(path, "config.json")) == FileKind::kRegular)
    return false;
  DumpLister lister;
  return lister.Add(path).ok() && !lister.entries().empty();
}

Result<DumpReport> CompareDumps(const std::string& first, const std::string& second,
                                Listener& listener) {
  DumpLister golden, mine;
  SLIM_TRY(golden.Add(first));
  SLIM_TRY(mine.Add(second));
  std::map<std::string, const DumpEntry*> of_second;
  for (const DumpEntry& entry : mine.entries()) of_second[entry.key] = &entry;
  DumpReport report{first, second, {}};
  uint64_t pairs = 0;
  for (const DumpEntry& entry : golden.entries()) {
    SLIM_TRY(CheckInterrupt());
    DumpRow row{entry.key, entry.token_id, report.rows.size(), {}, {}, {}, ""};
    const auto other = of_second.find(entry.key);
    if (other == of_second.end()) {
      row.fail_reason = "my_data has no such tensor.";
    } else {
      ++pairs;
      SLIM_TRY(FillRow(entry, *other->second, row));
      of_second.erase(other);
    }
    report.rows.push_back(std::move(row));
    listener.Progress("tensors", report.rows.size(), golden.entries().size());
  }
  for (const DumpEntry& entry : mine.entries()) {
    if (!of_second.contains(entry.key)) continue;
    report.rows.push_back({entry.key,
                           entry.token_id,
                           report.rows.size(),
                           {},
                           {},
                           {},
                           "golden_data has no such tensor."});
  }
  if (pairs > 0) return report;
  return InputError(
             "DIFF-dump-empty", fmt::format("has no tensor that is in {}, too", Escape(first)),
             "dumps are .safetensors files, and folders with .safetensors, .npy, .pth or ATB's "
             ".bin files of one model and one layout")
      .WithPath(second);
}

Result<std::optional<SavedLogits>> ReadSavedLogits(const std::string& path) {
  if (KindOf(path) != FileKind::kRegular) return std::optional<SavedLogits>();
  SLIM_ASSIGN(const Checkpoint file, Checkpoint::Open(path));
  const TensorEntry* ids = file.Find("input_ids");
  const TensorEntry* logits = file.Find("logits");
  if (ids == nullptr || logits == nullptr || file.tensors().size() != 2)
    return std::optional<SavedLogits>();
  const bool fits = ids->dtype == DType::kI32 && logits->dtype == DType::kF32 &&
                    ids->shape.size() == 1 && logits->shape.size() == 2 &&
                    ids->shape[0] == logits->shape[0] && ids->shape[0] >= 2 && logits->shape[1] > 0;
  if (!fits) return std::optional<SavedLogits>();
  SavedLogits saved;
  SLIM_ASSIGN(const Tensor tokens, file.Read(*ids));
  const auto values = tokens.as<int32_t>();
  saved.ids.assign(values.begin(), values.end());
  SLIM_ASSIGN(saved.logits, file.Read(*logits));
  const auto vocabulary = static_cast<int64_t>(logits->shape[1]);
  for (const int32_t id : saved.ids) {
    if (id < 0 || id >= vocabulary)
      return InputError("RUN-token-range", fmt::format("token {} has no logit", id)).WithPath(path);
  }
  return std::optional<SavedLogits>(std::move(saved));
}

Status CompareSavedLogits(const std::string& first, const std::string& second,
                          const SavedLogits& golden, const SavedLogits& mine,
                          LogitComparison& comparison, Listener& listener) {
  if (golden.logits.shape[1] != mine.logits.shape[1])
    return InputError("DIFF-vocabulary",
                      fmt::format("has a vocabulary of {} tokens, {} one of {}",
                                  mine.logits.shape[1], Escape(first), golden.logits.shape[1]))
        .WithPath(second);
  if (golden.ids != mine.ids)
    return InputError("DIFF-dump-tokens",
                      fmt::format("has the logits of other tokens than {}", Escape(first)),
                      "run both models on one prompt")
        .WithPath(second);
  StoredLogits a(golden), b(mine);
  LogitSource* const others[] = {&b};
  const std::vector<std::vector<int32_t>> windows = {golden.ids};
  return comparison.Add(a, others, windows, 1, listener);
}

}  // namespace slim
