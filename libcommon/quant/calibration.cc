#include "quant/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/reduce.h"
#include "model/modules.h"
#include "os/digest.h"
#include "os/install.h"
#include "os/interrupt.h"
#include "parallel/mpi.h"
#include "run/embedding.h"
#include "run/text_model.h"
#include "text/calibration_file.h"
#include "text/calibration_folder.h"

namespace slim {
namespace {

constexpr std::string_view kShippedSet = "calibration/default.jsonl";
constexpr size_t kFolderSamples = 64;  // of a C-Eval folder, which has thousands

Error NotFinite(std::string_view linear, size_t sample) {
  return InputError(
             "QU-activation-not-finite",
             fmt::format("the input of this layer holds NaN or infinity in calibration sample {}",
                         sample + 1),
             "check the source checkpoint with slim-verify --deep, or leave the sample out")
      .WithTensor(linear);
}

struct CalibrationText {
  std::string text;
  std::string where;  // "FILE:LINE", for errors
};

// The samples of a file, or of a C-Eval folder, and the digest of what was read.
Result<std::vector<CalibrationText>> ReadTexts(const std::string& path, std::string& digest) {
  std::vector<CalibrationText> texts;
  if (KindOf(path) == FileKind::kDirectory) {
    SLIM_ASSIGN(const std::vector<FolderSample> samples,
                ReadCalibrationFolder(path, kFolderSamples));
    std::string all;
    for (const FolderSample& sample : samples) {
      texts.push_back(
          {sample.text, fmt::format("{}:{}", JoinPath(path, sample.file), sample.line)});
      all += sample.text;
      all += '\0';
    }
    digest = Xxh3(std::as_bytes(std::span(all)));
    return texts;
  }
  SLIM_ASSIGN(const std::string content, ReadWholeFile(path, 1ULL << 30));
  SLIM_ASSIGN(const std::vector<CalibrationSample> samples, ParseCalibrationFile(content, path));
  for (const CalibrationSample& sample : samples)
    texts.push_back({sample.text, fmt::format("{}:{}", path, sample.line)});
  digest = Xxh3(std::as_bytes(std::span(content)));
  return texts;
}

}  // namespace

Result<CalibrationTokens> LoadCalibration(const Checkpoint& checkpoint, const ModelConfig& config,
                                          const std::string& path, Listener& listener) {
  std::string file = path;
  if (file.empty()) {
    SLIM_ASSIGN(file, FindInstalledFile(kShippedSet));
    listener.Note(
        "no --calib given: calibrating with the set that ships with slim (default.jsonl)");
  }
  CalibrationTokens tokens;
  SLIM_ASSIGN(const std::vector<CalibrationText> texts, ReadTexts(file, tokens.digest));
  SLIM_ASSIGN(const TextModel text_model, TextModel::Load(checkpoint, config));
  tokens.name = BaseName(file);
  size_t cut = 0;
  for (const CalibrationText& text : texts) {
    auto ids = text_model.tokenizer().Encode(text.text, true);
    if (!ids.ok()) return std::move(ids).error().WithPath(text.where);
    if (ids->empty()) continue;
    if (ids->size() > config.max_position) {
      ids->resize(config.max_position);
      ++cut;
    }
    tokens.samples.push_back(std::move(*ids));
  }
  if (tokens.samples.empty())
    return InputError("CALIB-empty", "no sample has any token").WithPath(file);
  const auto is_first = [&](const auto& sample) { return sample == tokens.samples.front(); };
  if (tokens.samples.size() > 1 && std::ranges::all_of(tokens.samples, is_first)) {
    listener.Warning(
        fmt::format("all {} calibration samples are alike: ranges and scales follow from one text",
                    tokens.samples.size()));
  }
  if (cut > 0) {
    listener.Warning(fmt::format(
        "{} of {} calibration samples are longer than the context of {} tokens and were cut", cut,
        tokens.samples.size(), config.max_position));
  }
  return tokens;
}

Result<CalibrationPass> CalibrationPass::Start(const Checkpoint& checkpoint,
                                               const ModelConfig& config,
                                               const CalibrationTokens& tokens, ThreadPool& pool) {
  CalibrationPass pass(checkpoint, config, pool);
  size_t longest = 0;
  for (const std::vector<int32_t>& sample : tokens.samples) {
    longest = std::max(longest, sample.size());
    std::vector<float> hidden(sample.size() * config.hidden_size);
    SLIM_TRY(EmbedTokens(checkpoint, config, sample, hidden.data()));
    pass.hidden_.push_back(std::move(hidden));
  }
  pass.rope_.Extend(longest);
  return pass;
}

// The calls of the hooks in order, on their way from the rank that ran the sample to the others.
struct CalibrationPass::Seen {
  enum Kind : uint64_t { kLinear, kCache, kHidden };
  MessageWriter message;
  Status status;
  const float* last = nullptr;  // linears that share an input are called one after the other

  void AddLinear(std::string_view name, const float* x, uint64_t t, uint64_t k) {
    message.Add(uint64_t{kLinear});
    message.Add(name);
    message.Add(t);
    message.Add(k);
    message.Add(std::as_bytes(std::span(x, x == last ? 0 : t * k)));
    last = x;
  }
};

CalibrationPass::Seen CalibrationPass::ForwardApart(const DecoderBlock& block, BlockOptions options,
                                                    size_t sample) {
  Seen seen;
  options.scratch = &scratch_;
  options.tap = [&](std::string_view name, const float* x, uint64_t t, uint64_t k) {
    if (!AllFinite(x, t * k) && seen.status.ok()) seen.status = NotFinite(name, sample);
    seen.AddLinear(name, x, t, k);
  };
  if (options.cache_tap) {
    options.cache_tap = [&](const float* keys, const float* values, uint64_t t) {
      const uint64_t width = config_->num_kv_heads * config_->head_dim;
      seen.last = nullptr;
      seen.message.Add(uint64_t{Seen::kCache});
      seen.message.Add(t);
      seen.message.Add(std::as_bytes(std::span(keys, t * width)));
      seen.message.Add(std::as_bytes(std::span(values, t * width)));
    };
  }
  std::vector<float> hidden = hidden_[sample];
  KvCacheLayer cache(*config_);
  const uint64_t t = hidden.size() / config_->hidden_size;
  Status status = block.Forward(hidden.data(), t, 0, rope_, cache, options, *pool_);
  if (seen.status.ok()) seen.status = std::move(status);
  if (seen.status.ok() && !AllFinite(hidden.data(), hidden.size()))
    seen.status = NotFinite(BlockPrefix(*config_, block.layer() + 1), sample);
  seen.message.Add(uint64_t{Seen::kHidden});
  seen.message.Add(std::as_bytes(std::span(hidden)));
  return seen;
}

Status CalibrationPass::ForwardInWaves(const DecoderBlock& block, const BlockOptions& options,
                                       const std::function<Status(size_t)>& sample_done,
                                       bool advance) {
  Ranks& ranks = Ranks::World();
  const auto size = static_cast<size_t>(ranks.size());
  for (size_t wave = 0; wave < hidden_.size(); wave += size) {
    SLIM_TRY(ranks.Agree(CheckInterrupt()));
    const size_t mine = wave + static_cast<size_t>(ranks.rank());
    Seen seen;
    if (mine < hidden_.size()) seen = ForwardApart(block, options, mine);
    SLIM_TRY(ranks.Agree(std::move(seen.status)));
    for (size_t sample = wave; sample < std::min(wave + size, hidden_.size()); ++sample) {
      std::vector<std::byte> bytes;
      if (sample == mine) bytes = std::move(seen.message.bytes());
      ranks.Broadcast(static_cast<int>(sample - wave), bytes);
      Replay(bytes, options, advance ? &hidden_[sample] : nullptr);
      if (sample_done) SLIM_TRY(sample_done(sample));
    }
  }
  return {};
}

void CalibrationPass::Replay(std::span<const std::byte> bytes, const BlockOptions& options,
                             std::vector<float>* hidden) {
  MessageReader message(bytes);
  // Aligned copies: a message packs its parts without gaps.
  std::vector<float> x;
  std::vector<float> values;
  const auto read = [&](std::vector<float>& to) {
    const auto part = message.Bytes();
    if (part.empty()) return;
    to.resize(part.size() / sizeof(float));
    std::copy(part.begin(), part.end(), std::as_writable_bytes(std::span(to)).begin());
  };
  while (!message.AtEnd()) {
    const uint64_t kind = message.Number();
    if (kind == Seen::kHidden) {
      read(x);
      if (hidden != nullptr) *hidden = x;
    } else if (kind == Seen::kCache) {
      const uint64_t t = message.Number();
      read(x);
      read(values);
      options.cache_tap(x.data(), values.data(), t);
    } else {
      const std::string name = message.Text();
      const uint64_t t = message.Number();
      const uint64_t k = message.Number();
      read(x);
      if (options.tap) options.tap(name, x.data(), t, k);
    }
  }
}

Status CalibrationPass::Forward(const DecoderBlock& block, BlockOptions options,
                                const std::function<Status(size_t)>& sample_done, bool advance) {
  if (!Ranks::World().alone() && !options.replace_input)
    return ForwardInWaves(block, options, sample_done, advance);
  std::string broken;
  const LinearTap see = std::move(options.tap);
  options.scratch = &scratch_;
  options.tap = [&](std::string_view name, const float* x, uint64_t t, uint64_t k) {
    if (broken.empty() && !AllFinite(x, t * k)) broken = name;
    if (broken.empty() && see) see(name, x, t, k);
  };
  std::vector<float> copy;
  for (size_t sample = 0; sample < hidden_.size(); ++sample) {
    SLIM_TRY(CheckInterrupt());
    KvCacheLayer cache(*config_);
    if (!advance) copy = hidden_[sample];
    std::vector<float>& hidden = advance ? hidden_[sample] : copy;
    const uint64_t t = hidden.size() / config_->hidden_size;
    SLIM_TRY(block.Forward(hidden.data(), t, 0, rope_, cache, options, *pool_));
    if (!broken.empty()) return NotFinite(broken, sample);
    if (!AllFinite(hidden.data(), hidden.size()))
      return NotFinite(BlockPrefix(*config_, block.layer() + 1), sample);
    if (sample_done) SLIM_TRY(sample_done(sample));
  }
  return {};
}

std::vector<std::span<const std::byte>> CalibrationPass::State() const {
  std::vector<std::span<const std::byte>> parts;
  for (const std::vector<float>& hidden : hidden_)
    parts.push_back(std::as_bytes(std::span(hidden)));
  return parts;
}

Status CalibrationPass::Restore(std::string_view bytes) {
  uint64_t size = 0;
  for (const std::vector<float>& hidden : hidden_) size += hidden.size() * sizeof(float);
  if (bytes.size() != size) return InternalError("kept activations are not of this run");
  for (std::vector<float>& hidden : hidden_) {
    const size_t part = hidden.size() * sizeof(float);
    std::copy_n(bytes.data(), part, reinterpret_cast<char*>(hidden.data()));
    bytes.remove_prefix(part);
  }
  return {};
}

void CalibrationPass::ChangeHidden(const std::function<void(std::span<float> rows)>& change) {
  for (std::vector<float>& hidden : hidden_) change(hidden);
}

Status CalibrationPass::Head(
    bool fused, const std::function<void(const float* x, uint64_t t, uint64_t k)>& see) {
  SLIM_ASSIGN(Norm norm, Norm::Load(*checkpoint_, FinalNormName(*config_), config_->hidden_size));
  if (fused) norm.weight.assign(norm.weight.size(), 1.0F);
  for (std::vector<float>& hidden : hidden_) {
    const uint64_t t = hidden.size() / config_->hidden_size;
    norm.Apply(hidden.data(), t, config_->rms_norm_eps, hidden.data(), *pool_);
    see(hidden.data(), t, config_->hidden_size);
  }
  return {};
}

}  // namespace slim
