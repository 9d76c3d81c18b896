#include "quant/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/reduce.h"
#include "model/modules.h"
#include "os/digest.h"
#include "os/install.h"
#include "os/interrupt.h"
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

Status CalibrationPass::Forward(const DecoderBlock& block, BlockOptions options,
                                const std::function<Status(size_t)>& sample_done, bool advance) {
  std::string broken;
  BlockScratch scratch;
  const LinearTap see = std::move(options.tap);
  options.scratch = &scratch;
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

Status CalibrationPass::Head(
    const std::function<void(const float* x, uint64_t t, uint64_t k)>& see) {
  SLIM_ASSIGN(const Norm norm,
              Norm::Load(*checkpoint_, FinalNormName(*config_), config_->hidden_size));
  for (std::vector<float>& hidden : hidden_) {
    const uint64_t t = hidden.size() / config_->hidden_size;
    norm.Apply(hidden.data(), t, config_->rms_norm_eps, hidden.data(), *pool_);
    see(hidden.data(), t, config_->hidden_size);
  }
  return {};
}

}  // namespace slim
