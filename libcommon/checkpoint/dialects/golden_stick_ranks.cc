#include "checkpoint/dialects/golden_stick_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/text.h"
#include "checkpoint/dialects/golden_stick.h"
#include "checkpoint/dialects/module_layers.h"

namespace slim {
namespace {

constexpr std::string_view kRank = "rank_";
constexpr std::string_view kLayers = "model.layers.";

Error RanksError(const std::string& path, std::string message, std::string hint) {
  return InputError("CK-ranks", std::move(message), std::move(hint)).WithPath(path);
}

std::optional<uint64_t> RankOf(std::string_view name) {
  if (!name.starts_with(kRank) || name.size() == kRank.size() || name.size() > kRank.size() + 4)
    return {};
  uint64_t rank = 0;
  for (const char c : name.substr(kRank.size())) {
    if (c < '0' || c > '9') return {};
    rank = rank * 10 + static_cast<uint64_t>(c - '0');
  }
  return rank;
}

// How the ranks' shares of a tensor make the whole.
enum class Split : uint8_t {
  kSame,     // every rank has it
  kRows,     // one after the other
  kColumns,  // side by side
  kSum       // partial sums, or every rank has it
};

struct Projection {
  std::string_view theirs;
  std::string_view ours;
  bool by_rows;  // outputs are split over ranks, else inputs
};
constexpr Projection kProjections[] = {
    {"attention.wq", "self_attn.q_proj", true}, {"attention.wk", "self_attn.k_proj", true},
    {"attention.wv", "self_attn.v_proj", true}, {"attention.wo", "self_attn.o_proj", false},
    {"feed_forward.w1", "mlp.gate_proj", true}, {"feed_forward.w3", "mlp.up_proj", true},
    {"feed_forward.w2", "mlp.down_proj", false}};
struct PlainName {
  std::string_view theirs;
  std::string_view ours;
};
constexpr PlainName kNorms[] = {{"attention_norm.weight", "input_layernorm.weight"},
                                {"ffn_norm.weight", "post_attention_layernorm.weight"},
                                {"attention.q_norm.weight", "self_attn.q_norm.weight"},
                                {"attention.k_norm.weight", "self_attn.k_norm.weight"}};
// What a projection has, behind its name.
enum class Part : uint8_t {
  kWeight,
  kBias,
  kDeqScale,
  kQuantBias,
  kInputScale,
  kInputOffset,
  kWeightScale,
  kOnlyScale,   // of types that quantize only weights
  kOnlyOffset,  // negated: added to the codes
  kSmoothScale,
  kBeta
};
struct PartSuffix {
  std::string_view suffix;
  Part part;
};
constexpr PartSuffix kSuffixes[] = {{"._layer.weight", Part::kWeight},
                                    {".weight", Part::kWeight},
                                    {"._layer.bias", Part::kBias},
                                    {".bias", Part::kBias},
                                    {"._layer.matmul.dequant_scale", Part::kDeqScale},
                                    {"._layer.matmul.quant_bias", Part::kQuantBias},
                                    {".quant_op.input_scale", Part::kInputScale},
                                    {".quant_op.input_zp", Part::kInputOffset},
                                    {"._layer.matmul.weight_scale", Part::kWeightScale},
                                    {"._layer.matmul.t_scale", Part::kOnlyScale},
                                    {"._layer.matmul.t_zp_neg", Part::kOnlyOffset},
                                    {"._layer.matmul.smooth_scale", Part::kSmoothScale},
                                    {".quant_op.smooth_scale", Part::kSmoothScale},
                                    {".quant_op.beta", Part::kBeta}};

// The shares of one tensor, by rank.
struct Shares {
  std::vector<const TensorEntry*> ranks;
  Split split = Split::kSame;
  bool negated = false;

  const TensorEntry& first() const { return *ranks.front(); }
  Shape shape() const {
    Shape whole = first().shape;
    const size_t axis = split == Split::kColumns ? 1 : 0;
    if (split == Split::kSame || split == Split::kSum || whole.size() <= axis) return whole;
    whole[axis] = 0;
    for (const TensorEntry* rank : ranks)
      whole[axis] += axis < rank->shape.size() ? rank->shape[axis] : 0;
    return whole;
  }
};

class GoldenStickRanks : public LayerReader {
 public:
  using LayerReader::LayerReader;
  Status Open(std::vector<Error>* problems);
  Result<LinearRecord> Read(const LogicalLayer& layer, Parts parts) const override;

 private:
  using PartShares = std::map<Part, Shares>;
  struct Module {
    std::string name;
    bool by_rows = true;
    PartShares parts;
  };
  Status CollectShares();
  Status Place(const std::string& name, Shares shares);
  Status AddPlain(std::string name, Shares shares);
  bool PlaceProjection(std::string_view name, const Shares& shares);
  Status AddModule(Module& module);
  Status CheckNeutral(const Module& module) const;
  Status AddStatic(LogicalLayer& layer, Module& module);
  Status Take(LogicalLayer& layer, Module& module, Part part, Role role, const Shape& wanted);
  Split SplitOf(const Module& module, Part part, const TensorEntry& share) const;
  void DropRepeatedHeads(const Module& module, Shares& shares) const;
  Result<Tensor> Joined(const Shares& shares) const;
  std::optional<uint64_t> ConfigNumber(std::string_view key) const;
  Error Refuse(const TensorEntry& entry, std::string rule, std::string message,
               std::string hint = "") const {
    return InputError(std::move(rule), std::move(message), std::move(hint))
        .WithTensor(entry.name)
        .WithPath(source_.path());
  }
  std::string Note() const {
    return ranks_ == 1 ? "MindFormers' name changed" : fmt::format("joined from {} ranks", ranks_);
  }

  uint64_t ranks_ = 0;
  std::vector<std::pair<std::string, Shares>> tensors_;  // in the order of rank 0
  std::vector<Module> modules_;
  std::map<std::string, size_t> by_module_;
  std::map<std::string, std::map<Role, Shares>> shares_;  // by layer
};

std::optional<uint64_t> GoldenStickRanks::ConfigNumber(std::string_view key) const {
  const Json* value = source_.config() == nullptr ? nullptr : source_.config()->Find(key);
  const auto number = value == nullptr ? std::optional<int64_t>() : value->AsInteger();
  if (!number || *number <= 0) return {};
  return static_cast<uint64_t>(*number);
}

Status GoldenStickRanks::CollectShares() {
  std::map<std::string_view, size_t> positions;
  for (const TensorEntry& entry : source_.tensors()) {
    const size_t slash = entry.name.find('/');
    const auto rank = RankOf(std::string_view(entry.name).substr(0, slash));
    if (slash == std::string::npos || !rank)
      return Refuse(entry, "CK-ranks", "belongs to no rank directory");
    ranks_ = std::max(ranks_, *rank + 1);
    const std::string_view name = std::string_view(entry.name).substr(slash + 1);
    const auto [at, fresh] = positions.emplace(name, tensors_.size());
    if (fresh) tensors_.emplace_back(std::string(name), Shares());
    tensors_[at->second].second.ranks.push_back(&entry);  // shards come in the order of ranks
  }
  for (const auto& [name, shares] : tensors_) {
    if (shares.ranks.size() == ranks_) continue;
    return Refuse(shares.first(), "CK-ranks",
                  fmt::format("is in {} of {} ranks", shares.ranks.size(), ranks_),
                  "fetch the missing files: each rank holds a share of every layer");
  }
  return {};
}

Status GoldenStickRanks::AddPlain(std::string name, Shares shares) {
  LogicalLayer layer;
  layer.name = std::move(name);
  layer.part(Role::kWeight) = PartSpec{shares.first().dtype, shares.shape()};
  layer.sources.assign(shares.ranks.begin(), shares.ranks.end());
  layer.note = Note();
  shares_[layer.name].emplace(Role::kWeight, std::move(shares));
  layers_.push_back(std::move(layer));
  return {};
}

bool GoldenStickRanks::PlaceProjection(std::string_view name, const Shares& shares) {
  const size_t dot = name.find('.', kLayers.size());
  if (dot == std::string_view::npos) return false;
  const std::string_view tail = name.substr(dot + 1);
  for (const Projection& projection : kProjections) {
    if (!tail.starts_with(projection.theirs)) continue;
    const auto* suffix =
        std::ranges::find(kSuffixes, tail.substr(projection.theirs.size()), &PartSuffix::suffix);
    if (suffix == std::end(kSuffixes)) return false;
    const std::string module = fmt::format("{}.{}", name.substr(0, dot), projection.ours);
    const auto [at, fresh] = by_module_.emplace(module, modules_.size());
    if (fresh) modules_.push_back({module, projection.by_rows, {}});
    modules_[at->second].parts.emplace(suffix->part, shares);
    return true;
  }
  return false;
}

Status GoldenStickRanks::Place(const std::string& name, Shares shares) {
  const auto split_rows = [&] {
    const auto vocabulary = ConfigNumber("vocab_size");
    const bool whole = vocabulary && !shares.first().shape.empty() &&
                       shares.first().shape[0] == *vocabulary && ranks_ > 1;
    shares.split = whole ? Split::kSame : Split::kRows;
  };
  if (name == "model.tok_embeddings.embedding_weight" || name == "lm_head.weight") {
    split_rows();
    return AddPlain(name == "lm_head.weight" ? name : "model.embed_tokens.weight",
                    std::move(shares));
  }
  if (name == "model.norm_out.weight") return AddPlain("model.norm.weight", std::move(shares));
  if (name.starts_with(kLayers)) {
    const size_t dot = name.find('.', kLayers.size());
    for (const PlainName& norm : kNorms) {
      if (dot != std::string::npos && std::string_view(name).substr(dot + 1) == norm.theirs)
        return AddPlain(fmt::format("{}.{}", name.substr(0, dot), norm.ours), std::move(shares));
    }
    if (PlaceProjection(name, shares)) return {};
  }
  const bool fused =
      name.find("w_qkv") != std::string::npos || name.find("w_gate_hidden") != std::string::npos;
  return Refuse(shares.first(), "CV-name",
                fused ? "is a fused layer, whose rows have no order of their own"
                      : "is no tensor of a dense decoder in MindFormers' names",
                fused ? "write it with qkv_concat false" : "convert the Hugging Face layout");
}

// Scales and offsets of inputs that the layer before should have absorbed.
Status GoldenStickRanks::CheckNeutral(const Module& module) const {
  for (const auto& [part, neutral] : {std::pair(Part::kSmoothScale, 1.0), {Part::kBeta, 0.0}}) {
    const auto found = module.parts.find(part);
    if (found == module.parts.end()) continue;
    SLIM_ASSIGN(const Tensor values, source_.Read(found->second.first()));
    for (uint64_t i = 0; i < values.elements(); ++i) {
      if (ElementAsDouble(values.view(), i) == neutral) continue;
      return Refuse(found->second.first(), "CV-smooth-scale",
                    fmt::format("is {} at {}: the layer before has not absorbed it",
                                ElementAsDouble(values.view(), i), i),
                    "export with the smoothing folded");
    }
  }
  return {};
}

Split GoldenStickRanks::SplitOf(const Module& module, Part part, const TensorEntry& share) const {
  const bool input = part == Part::kInputScale || part == Part::kInputOffset;
  if (module.by_rows) return input ? Split::kSame : Split::kRows;
  if (part == Part::kWeight) return Split::kColumns;
  if (input) return share.shape == Shape{1} || share.shape.empty() ? Split::kSame : Split::kRows;
  return part == Part::kQuantBias ? Split::kSum : Split::kSame;
}

// Ranks that share a head of keys and values each have it whole.
void GoldenStickRanks::DropRepeatedHeads(const Module& module, Shares& shares) const {
  const bool of_keys = module.name.ends_with("k_proj") || module.name.ends_with("v_proj");
  const auto heads = ConfigNumber("num_key_value_heads");
  if (!of_keys || !heads || shares.split != Split::kRows || ranks_ <= *heads ||
      ranks_ % *heads != 0)
    return;
  std::vector<const TensorEntry*> kept;
  for (uint64_t rank = 0; rank < ranks_; rank += ranks_ / *heads)
    kept.push_back(shares.ranks[rank]);
  shares.ranks = std::move(kept);
}

Status GoldenStickRanks::Take(LogicalLayer& layer, Module& module, Part part, Role role,
                              const Shape& wanted) {
  const auto found = module.parts.find(part);
  if (found == module.parts.end()) {
    return InputError("CK-missing-tensor", "is missing beside its weight",
                      "fetch the missing file, or the whole checkpoint, again")
        .WithTensor(fmt::format("{}.{}", layer.name, RoleSuffix(role)))
        .WithPath(source_.path());
  }
  Shares shares = found->second;
  shares.split = SplitOf(module, part, shares.first());
  shares.negated = part == Part::kOnlyOffset;
  DropRepeatedHeads(module, shares);
  const Shape whole = shares.shape();
  if (ElementCount(whole) != ElementCount(wanted)) {
    return Refuse(shares.first(), "LIN-shape",
                  fmt::format("has shape {} in all ranks together, wanted {}", ShapeText(whole),
                              ShapeText(wanted)));
  }
  const bool to_float = role == Role::kInputOffset || role == Role::kWeightOffset;
  layer.part(role) = PartSpec{to_float ? DType::kF32 : shares.first().dtype, wanted};
  layer.sources.insert(layer.sources.end(), shares.ranks.begin(), shares.ranks.end());
  shares_[layer.name].insert_or_assign(role, std::move(shares));
  return {};
}

Status GoldenStickRanks::AddStatic(LogicalLayer& layer, Module& module) {
  layer.scheme = Scheme::kW8A8;
  layer.quant_bias_is_rounded = true;
  bool repeated = true;
  constexpr std::pair<Part, Role> kInputs[] = {{Part::kInputScale, Role::kInputScale},
                                               {Part::kInputOffset, Role::kInputOffset}};
  for (const auto& [part, role] : kInputs) {
    const auto found = module.parts.find(part);
    const bool one = found != module.parts.end() &&
                     ElementCount(found->second.first().shape).value_or(0) == 1 && layer.k() != 1;
    SLIM_TRY(Take(layer, module, part, role, one ? Shape{1} : Shape{layer.k()}));
    SLIM_ASSIGN(const Tensor values, Joined(shares_.at(layer.name).at(role)));
    repeated = repeated && IsRepeated(values);
  }
  for (const auto& [part, role] : kInputs)
    layer.part(role) = PartSpec{DType::kF32, {repeated ? 1 : layer.k()}};
  SLIM_TRY(Take(layer, module, Part::kDeqScale, Role::kDeqScale, {layer.n()}));
  return Take(layer, module, Part::kQuantBias, Role::kQuantBias, {layer.n()});
}

Status GoldenStickRanks::AddModule(Module& module) {
  const auto weight = module.parts.find(Part::kWeight);
  if (weight == module.parts.end()) {
    return Refuse(module.parts.begin()->second.first(), "CK-missing-tensor",
                  "its weight is not there", "fetch the missing file again");
  }
  SLIM_TRY(CheckNeutral(module));
  LogicalLayer layer;
  layer.name = module.name;
  layer.is_linear = true;
  layer.note = Note();
  Shares shares = weight->second;
  shares.split = SplitOf(module, Part::kWeight, shares.first());
  DropRepeatedHeads(module, shares);
  const Shape shape = shares.shape();
  if (shape.size() != 2) {
    return Refuse(shares.first(), "LIN-shape",
                  fmt::format("has shape {}, wanted a matrix", ShapeText(shares.first().shape)));
  }
  if (shares.first().dtype != DType::kI8) {
    if (module.parts.contains(Part::kBias)) {
      Shares bias = module.parts.at(Part::kBias);
      bias.split = SplitOf(module, Part::kBias, bias.first());
      DropRepeatedHeads(module, bias);
      SLIM_TRY(AddPlain(module.name + ".bias", std::move(bias)));
    }
    return AddPlain(module.name + ".weight", std::move(shares));
  }
  layer.part(Role::kWeight) = PartSpec{DType::kI8, shape};
  SLIM_TRY(Take(layer, module, Part::kWeight, Role::kWeight, shape));
  if (module.parts.contains(Part::kInputScale)) {
    SLIM_TRY(AddStatic(layer, module));
  } else if (module.parts.contains(Part::kOnlyScale)) {
    layer.scheme = Scheme::kW8A16;
    SLIM_TRY(Take(layer, module, Part::kOnlyScale, Role::kWeightScale, {layer.n(), 1}));
    if (module.parts.contains(Part::kOnlyOffset))
      SLIM_TRY(Take(layer, module, Part::kOnlyOffset, Role::kWeightOffset, {layer.n(), 1}));
  } else {
    layer.scheme = Scheme::kW8A8Dynamic;
    SLIM_TRY(Take(layer, module, Part::kWeightScale, Role::kWeightScale, {layer.n(), 1}));
  }
  if (module.parts.contains(Part::kBias))
    SLIM_TRY(Take(layer, module, Part::kBias, Role::kBias, {layer.n()}));
  layers_.push_back(std::move(layer));
  return {};
}

Status GoldenStickRanks::Open(std::vector<Error>* problems) {
  SLIM_TRY(ModuleLayers::Collect(CollectShares(), problems));
  for (auto& [name, shares] : tensors_)
    SLIM_TRY(ModuleLayers::Collect(Place(name, std::move(shares)), problems));
  for (Module& module : modules_) SLIM_TRY(ModuleLayers::Collect(AddModule(module), problems));
  return {};
}

Result<Tensor> GoldenStickRanks::Joined(const Shares& shares) const {
  SLIM_ASSIGN(Tensor first, source_.Read(shares.first()));
  if (shares.ranks.size() == 1) return first;
  Tensor whole;
  if (shares.split == Split::kRows || shares.split == Split::kColumns)
    whole = Tensor(first.dtype, shares.shape());
  const bool columns = shares.split == Split::kColumns;
  const uint64_t rows = columns ? first.shape[0] : 1;
  const uint64_t stride = whole.empty() ? 0 : whole.data.size() / rows;
  std::vector<Tensor> different;  // of a sum
  uint64_t at = 0;
  for (const TensorEntry* entry : shares.ranks) {
    SLIM_ASSIGN(Tensor share, source_.Read(*entry));
    const bool fits = share.dtype == first.dtype && (!columns || share.shape[0] == rows);
    if (!fits) return Refuse(*entry, "CK-ranks", "has another dtype or height in another rank");
    if (whole.empty()) {
      if (std::ranges::equal(share.data.bytes(), first.data.bytes())) continue;
      if (shares.split == Split::kSame || share.shape != first.shape ||
          share.dtype != DType::kI32) {
        return Refuse(*entry, "CK-ranks", "differs from rank 0, every rank should have the same",
                      "fetch the ranks of one run");
      }
      different.push_back(std::move(share));
      continue;
    }
    const uint64_t width = share.data.size() / rows;
    for (uint64_t row = 0; row < rows; ++row)
      std::memcpy(whole.data.data() + row * stride + at, share.data.data() + row * width, width);
    at += width;
  }
  if (!whole.empty()) return whole;
  if (different.empty()) return first;
  if (different.size() + 1 != shares.ranks.size())
    return Refuse(shares.first(), "CK-ranks", "is the same in some ranks and not in others");
  for (const Tensor& share : different) {
    for (uint64_t i = 0; i < first.elements(); ++i)
      first.as<int32_t>()[i] += share.as<int32_t>()[i];
  }
  return first;
}

Result<LinearRecord> GoldenStickRanks::Read(const LogicalLayer& layer, Parts parts) const {
  LinearRecord record;
  record.name = layer.name;
  record.scheme = layer.scheme;
  for (const auto& [role, shares] : shares_.at(layer.name)) {
    if (role == Role::kWeight && parts == Parts::kAllButWeight) continue;
    const PartSpec& wanted = *layer.part(role);
    SLIM_ASSIGN(Tensor part, Joined(shares));
    if (role == Role::kInputScale || role == Role::kInputOffset)
      part = LeadingFloats(part, std::min(part.elements(), wanted.shape[0]));
    if (part.dtype != wanted.dtype || part.elements() != *ElementCount(wanted.shape)) {
      SLIM_ASSIGN(part, Expanded(part, wanted));
    }
    if (shares.negated) SLIM_TRY(NegateFloats(part));
    part.shape = wanted.shape;
    record[role] = std::move(part);
  }
  return record;
}

}  // namespace

bool HasRanks(const Checkpoint& source) {
  const std::vector<std::string>& files = source.guess().weight_files;
  return !files.empty() && files.front().starts_with(kRank) &&
         files.front().find('/') != std::string::npos;
}

Result<std::optional<DialectGuess>> GuessRanks(const std::string& directory,
                                               const std::vector<DirectoryEntry>& listing) {
  std::map<uint64_t, std::string> ranks;
  for (const DirectoryEntry& entry : listing) {
    const auto rank = RankOf(entry.name);
    if (rank && entry.kind == FileKind::kDirectory) ranks.emplace(*rank, entry.name);
  }
  if (ranks.empty()) return std::optional<DialectGuess>();
  DialectGuess guess;
  guess.dialect = Dialect::kGoldenStick;
  uint64_t next = 0;
  for (const auto& [rank, name] : ranks) {
    if (rank != next++) {
      return RanksError(directory, fmt::format("{}{} is missing", kRank, next - 1),
                        "fetch all ranks: each holds a share of every layer");
    }
    const std::string path = JoinPath(directory, name);
    SLIM_ASSIGN(const std::vector<DirectoryEntry> files, ListDirectory(path));
    const size_t before = guess.weight_files.size();
    for (const DirectoryEntry& file : files) {
      if (file.name == "quant_model_description.json") {
        return RanksError(path, "is what an interrupted distributed run of msModelSlim left",
                          "run it again: it merges its ranks at the end");
      }
      if (file.kind == FileKind::kRegular && file.name.ends_with(".safetensors"))
        guess.weight_files.push_back(fmt::format("{}/{}", name, file.name));
    }
    if (guess.weight_files.size() == before)
      return RanksError(path, "holds no *.safetensors", "fetch all files of the rank");
  }
  return std::optional(std::move(guess));
}

Result<std::unique_ptr<LayerReader>> OpenGoldenStickRanks(const Checkpoint& source,
                                                          std::vector<Error>* problems) {
  auto reader = std::make_unique<GoldenStickRanks>(source);
  SLIM_TRY(reader->Open(problems));
  return std::unique_ptr<LayerReader>(std::move(reader));
}

}  // namespace slim
