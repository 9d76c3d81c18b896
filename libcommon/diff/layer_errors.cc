#include "diff/layer_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <set>
#include <utility>

#include "base/text.h"
#include "model/modules.h"
#include "os/interrupt.h"
#include "run/kv_cache.h"

namespace slim {
namespace {

// Tokens a call: inputs and outputs of every linear of three passes are kept for it.
constexpr uint64_t kProbeChunk = 128;
// Of lm_head, whose rows are as wide as the vocabulary.
constexpr uint64_t kHeadChunk = 32;
// Embedded tokens that differ by more than this are not of one basis.
constexpr double kSameBasisDb = 6;

// 7 of "model.layers.3.mlp.experts.7.up_proj".
std::optional<uint32_t> RoutedExpert(std::string_view linear) {
  constexpr std::string_view kMark = ".experts.";
  const size_t at = linear.find(kMark);
  if (at == std::string_view::npos) return {};
  const char* begin = linear.data() + at + kMark.size();
  uint32_t expert = 0;
  const auto [end, error] = std::from_chars(begin, linear.data() + linear.size(), expert);
  if (error != std::errc() || end == begin) return {};
  return expert;
}

}  // namespace

// What went into and came out of every linear of one call.
class LayerProbe::Trace {
 public:
  struct Entry {
    uint64_t t = 0;
    uint64_t k = 0;
    uint64_t n = 0;
    std::vector<float> x;
    std::vector<float> y;
  };

  explicit Trace(BlockOptions options) : options_(std::move(options)) {
    options_.tap = [this](std::string_view name, const float* x, uint64_t t, uint64_t k) {
      auto [at, fresh] = entries_.emplace(std::string(name), Entry());
      if (fresh) order_.emplace_back(name);
      at->second.t = t;
      at->second.k = k;
      at->second.x.assign(x, x + t * k);
    };
    options_.output_tap = [this](std::string_view name, const float* y, uint64_t t, uint64_t n) {
      Entry& entry = entries_.find(name)->second;
      entry.n = n;
      entry.y.assign(y, y + t * n);
    };
    const RoutingTap outer = options_.routing_tap;
    options_.routing_tap = [this, outer](uint64_t layer, const Routing& routing) {
      routing_ = routing;
      if (outer) outer(layer, routing);
    };
  }
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  const BlockOptions& options() const { return options_; }
  const std::vector<std::string>& order() const { return order_; }
  const Entry* Find(std::string_view linear) const {
    const auto found = entries_.find(linear);
    return found == entries_.end() ? nullptr : &found->second;
  }
  // The token of each row of a linear.
  std::vector<uint32_t> TokensOf(std::string_view linear, uint64_t rows) const {
    std::vector<uint32_t> tokens;
    const std::optional<uint32_t> expert = RoutedExpert(linear);
    if (!expert) {
      tokens.resize(rows);
      std::iota(tokens.begin(), tokens.end(), 0U);
      return tokens;
    }
    for (size_t i = 0; i < routing_.experts.size(); ++i) {
      if (routing_.experts[i] == *expert)
        tokens.push_back(static_cast<uint32_t>(i / routing_.experts_per_token));
    }
    return tokens;
  }

 private:
  BlockOptions options_;
  std::vector<std::string> order_;
  std::map<std::string, Entry, std::less<>> entries_;
  Routing routing_;
};

// One piece of a window on its way through a block.
struct LayerProbe::Chunk {
  float* first;  // hidden states, in place
  float* second;
  uint64_t t;
  uint64_t begin;  // position in the window
  const RopeTable* first_rope;
  const RopeTable* second_rope;
  KvCacheLayer* first_cache;
  KvCacheLayer* second_cache;
  KvCacheLayer* local_cache;
  const BlockOptions* first_options;
  const BlockOptions* second_options;
};

std::vector<size_t> LayerErrors::Ranking() const {
  std::vector<size_t> order;
  for (size_t i = 0; i < linears.size(); ++i) {
    if (linears[i].type != Scheme::kFloat) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return linears[a].local.sqnr_db < linears[b].local.sqnr_db;
  });
  return order;
}

Status CheckSameBlocks(const OpenModel& first, const OpenModel& second) {
  const auto differ = [&](std::string what) -> Error {
    return InputError("DIFF-architecture",
                      fmt::format("{}; layers can only be compared one to one", what),
                      "compare checkpoints of one model, or leave out --layers")
        .WithPath(second.checkpoint.path());
  };
  if (first.config.num_layers != second.config.num_layers)
    return differ(fmt::format("has {} blocks, {} has {}", second.config.num_layers,
                              Escape(first.checkpoint.path()), first.config.num_layers));
  for (uint64_t layer = 0; layer < first.config.num_layers; ++layer) {
    const std::vector<Module> a = BlockModules(first.config, layer);
    const std::vector<Module> b = BlockModules(second.config, layer);
    if (a.size() != b.size()) return differ(fmt::format("block {} has other modules", layer));
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i].name == b[i].name && a[i].weight_shape == b[i].weight_shape) continue;
      return differ(fmt::format("{} is {}, in {} {} is {}", Quote(b[i].name),
                                ShapeText(b[i].weight_shape), Escape(first.checkpoint.path()),
                                Quote(a[i].name), ShapeText(a[i].weight_shape)));
    }
  }
  return {};
}

Status LayerProbe::CheckBasis(const HiddenWalk& first, const HiddenWalk& second) const {
  const std::span<const float> a = first.hidden(0);
  const std::span<const float> b = second.hidden(0);
  const uint64_t width = first_->config.hidden_size;
  const ErrorSums sums = CompareRows(a.data(), b.data(), a.size() / width, width, {}, *pool_);
  if (sums.Figures().sqnr_db >= kSameBasisDb) return {};
  return InputError("DIFF-basis",
                    fmt::format("has other embeddings than {}: a rotated checkpoint computes in "
                                "another basis, its hidden states cannot be compared",
                                Escape(first_->checkpoint.path())),
                    "leave out --layers; the logits can be compared")
      .WithPath(second_->checkpoint.path());
}

Status LayerProbe::Forward(DecoderBlock& first, DecoderBlock& second, HiddenWalk& first_walk,
                           HiddenWalk& second_walk, const BlockOptions& first_options,
                           const BlockOptions& second_options) {
  if (!frames_.contains(first.layer()))
    frames_.emplace(first.layer(), BlockFrames::FromNorms(first_->config, first, second));
  const uint64_t width = first_->config.hidden_size;
  for (uint64_t i = 0; i < first_walk.windows(); ++i) {
    SLIM_TRY(CheckInterrupt());
    const std::span<float> first_rows = first_walk.hidden(i);
    const std::span<float> second_rows = second_walk.hidden(i);
    KvCacheLayer first_cache(first_->config);
    KvCacheLayer second_cache(second_->config);
    KvCacheLayer local_cache(second_->config);
    const uint64_t tokens = first_rows.size() / width;
    for (uint64_t begin = 0; begin < tokens; begin += kProbeChunk) {
      Chunk chunk{first_rows.data() + begin * width,
                  second_rows.data() + begin * width,
                  std::min(kProbeChunk, tokens - begin),
                  begin,
                  &first_walk.rope(i),
                  &second_walk.rope(i),
                  &first_cache,
                  &second_cache,
                  &local_cache,
                  &first_options,
                  &second_options};
      SLIM_TRY(ForwardChunk(first, second, chunk));
    }
  }
  return {};
}

Status LayerProbe::ForwardChunk(DecoderBlock& first, DecoderBlock& second, Chunk& chunk) {
  const uint64_t width = first_->config.hidden_size;
  Trace first_trace(*chunk.first_options), own_trace(*chunk.second_options), local_trace(options_);
  std::vector<float> local(chunk.first, chunk.first + chunk.t * width);
  SLIM_TRY(first.Forward(chunk.first, chunk.t, chunk.begin, *chunk.first_rope, *chunk.first_cache,
                         first_trace.options(), *pool_));
  SLIM_TRY(second.Forward(chunk.second, chunk.t, chunk.begin, *chunk.second_rope,
                          *chunk.second_cache, own_trace.options(), *pool_));
  SLIM_TRY(second.Forward(local.data(), chunk.t, chunk.begin, *chunk.second_rope,
                          *chunk.local_cache, local_trace.options(), *pool_));
  BlockSums& sums = blocks_[first.layer()];
  sums.local.Add(CompareRows(chunk.first, local.data(), chunk.t, width, {}, *pool_));
  sums.accumulated.Add(CompareRows(chunk.first, chunk.second, chunk.t, width, {}, *pool_));
  AddLinears(first_trace, own_trace, local_trace, second, frames_.at(first.layer()), sums);
  return {};
}

void LayerProbe::AddLinears(const Trace& first, const Trace& own, const Trace& local,
                            DecoderBlock& second, BlockFrames& frames, BlockSums& sums) {
  std::map<std::string_view, const LinearLayer*> layers;
  for (const LinearLayer* linear : second.Parts().linears) layers[linear->name()] = linear;
  std::set<std::string> routers;
  for (const Module& module : BlockModules(first_->config, second.layer())) {
    if (module.kind == ModuleKind::kRouter) routers.insert(module.name);
  }
  // Fits first: they settle the outputs of linears that come before.
  for (const std::string& name : first.order()) {
    if (!frames.NeedsFit(name)) continue;
    const Trace::Entry* a = first.Find(name);
    const Trace::Entry* b = local.Find(name);
    if (a != nullptr && b != nullptr)
      frames.Fit(first_->config, name, a->x.data(), b->x.data(), a->t, a->k);
  }
  for (const std::string& name : first.order()) {
    const Trace::Entry* a = first.Find(name);
    const auto layer = layers.find(name);
    if (a == nullptr || layer == layers.end()) continue;
    LinearSums& linear = sums.linears[name];
    const LinearFrame& frame = frames.Of(name);
    linear.rows += a->t;
    const std::vector<float> x = frame.ToSecond(a->x.data(), a->t, a->k);
    std::vector<float> y(a->t * a->n);
    const bool router = routers.contains(name);
    const Backend backend = router ? Backend::kReference : options_.backend;
    const FloatInputs inputs = router ? FloatInputs::kFp32 : options_.float_inputs;
    layer->second->Forward(x.data(), a->t, y.data(), backend, *pool_, options_.phase, inputs);
    linear.local.Add(CompareRows(a->y.data(), y.data(), a->t, a->n, frame.out, *pool_));

    const Trace::Entry* b = own.Find(name);
    if (b == nullptr) continue;
    const std::vector<float> x2 = frame.ToFirst(b->x.data(), b->t, b->k);
    const std::vector<uint32_t> a_tokens = first.TokensOf(name, a->t);
    const std::vector<uint32_t> b_tokens = own.TokensOf(name, b->t);
    for (size_t i = 0, j = 0; i < a_tokens.size() && j < b_tokens.size();) {
      if (a_tokens[i] != b_tokens[j]) {
        a_tokens[i] < b_tokens[j] ? ++i : ++j;
        continue;
      }
      // As many rows in one go as both have.
      size_t same = 1;
      while (i + same < a_tokens.size() && j + same < b_tokens.size() &&
             a_tokens[i + same] == b_tokens[j + same])
        ++same;
      linear.input.Add(
          CompareRows(a->x.data() + i * a->k, x2.data() + j * a->k, same, a->k, {}, *pool_));
      linear.accumulated.Add(CompareRows(a->y.data() + i * a->n, b->y.data() + j * a->n, same, a->n,
                                         frame.out, *pool_));
      i += same;
      j += same;
    }
  }
}

void LayerProbe::ForwardHead(const OutputHead& first, const OutputHead& second,
                             const HiddenWalk& first_walk, const HiddenWalk& second_walk) {
  const LinearFrame frame = NormFrame(first.norm(), second.norm());
  const uint64_t width = first_->config.hidden_size;
  const uint64_t n = first.linear().n();
  std::vector<float> first_x, second_x, first_y, second_y, local_y;
  const auto run = [&](const OutputHead& head, const float* hidden, uint64_t t,
                       std::vector<float>& x, std::vector<float>& y) {
    BlockOptions options = options_;
    options.tap = [&](std::string_view, const float* normed, uint64_t rows, uint64_t k) {
      x.assign(normed, normed + rows * k);
    };
    y.resize(t * n);
    head.Logits(hidden, t, y.data(), options, *pool_);
  };
  head_type_ = second.linear().scheme();
  for (uint64_t i = 0; i < first_walk.windows(); ++i) {
    const std::span<const float> first_rows = first_walk.hidden(i);
    const std::span<const float> second_rows = second_walk.hidden(i);
    const uint64_t tokens = first_rows.size() / width;
    for (uint64_t begin = 0; begin < tokens; begin += kHeadChunk) {
      const uint64_t t = std::min(kHeadChunk, tokens - begin);
      run(first, first_rows.data() + begin * width, t, first_x, first_y);
      run(second, second_rows.data() + begin * width, t, second_x, second_y);
      local_y.resize(t * n);
      second.linear().Forward(frame.ToSecond(first_x.data(), t, width).data(), t, local_y.data(),
                              options_.backend, *pool_, options_.phase, options_.float_inputs);
      const std::vector<float> x2 = frame.ToFirst(second_x.data(), t, width);
      head_.rows += t;
      head_.local.Add(CompareRows(first_y.data(), local_y.data(), t, n, {}, *pool_));
      head_.accumulated.Add(CompareRows(first_y.data(), second_y.data(), t, n, {}, *pool_));
      head_.input.Add(CompareRows(first_x.data(), x2.data(), t, width, {}, *pool_));
    }
  }
}

LinearErrors LayerProbe::ErrorsOf(std::string name, uint64_t layer, Scheme type,
                                  const LinearSums& sums) {
  LinearErrors errors;
  errors.name = std::move(name);
  errors.layer = layer;
  errors.type = type;
  errors.rows = sums.rows;
  errors.local = sums.local.Figures();
  errors.accumulated = sums.accumulated.Figures();
  errors.input_cosine = sums.input.Figures().cosine;
  return errors;
}

LayerErrors LayerProbe::Errors() const {
  LayerErrors errors;
  for (const auto& [layer, sums] : blocks_) {
    errors.blocks.push_back({layer, BlockPrefix(first_->config, layer), sums.local.Figures(),
                             sums.accumulated.Figures()});
    // In the order of the model: experts may first have been met in another.
    for (const Module& module : BlockModules(first_->config, layer)) {
      const auto found = sums.linears.find(module.name);
      if (found == sums.linears.end()) continue;
      const auto type = second_->checkpoint.SchemeOf(module.name);
      errors.linears.push_back(
          ErrorsOf(module.name, layer, type.ok() ? *type : Scheme::kFloat, found->second));
      errors.linears.back().chooses = module.kind == ModuleKind::kRouter;
    }
  }
  if (head_.rows > 0) {
    errors.linears.push_back(ErrorsOf(kLmHeadName, first_->config.num_layers, head_type_, head_));
    errors.linears.back().chooses = true;
  }
  return errors;
}

}  // namespace slim
