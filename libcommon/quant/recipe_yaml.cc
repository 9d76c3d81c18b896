#include "quant/recipe_yaml.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <limits>

#include "base/glob.h"
#include "base/text.h"
#include "checkpoint/dialects/dialect.h"
#include "quant/traditional.h"
#include "quant/yaml_section.h"

namespace slim {
namespace {

constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();
// A part size that no checkpoint reaches: one file.
constexpr uint64_t kOneFile = 1ULL << 60;

// Processors of msModelSlim that slim does not have, so that the error can say more than "unknown".
constexpr std::array<std::string_view, 8> kForeignProcessors = {
    "online_quarot", "adapt_rotation", "autoround_quant", "flatquant",
    "svd_res",       "flatquant_load", "unary_analysis",  "binary_analysis"};

template <class T>
void Assign(T& to, const std::optional<T>& from) {
  if (from) to = *from;
}

Status ReadNames(YamlSection& section, std::string_view key, std::vector<std::string>& names) {
  const Yaml* at = section.Take(key);
  if (at == nullptr) return {};
  SLIM_ASSIGN(std::vector<std::string> texts, section.Texts(key));
  for (const std::string& text : texts) {
    const auto glob = Glob::Compile(text);
    if (!glob.ok()) return section.Refuse(*at, glob.error().message);
  }
  names = std::move(texts);
  return {};
}

Status ReadFilter(YamlSection& section, NameFilter& filter) {
  SLIM_TRY(ReadNames(section, "include", filter.include));
  return ReadNames(section, "exclude", filter.exclude);
}

// A word of a table of recipe.h, by its Parse function.
template <class T>
Status ReadWord(YamlSection& section, std::string_view key,
                std::optional<T> (*parse)(std::string_view), std::vector<std::string> known,
                T& value) {
  const Yaml* at = section.Take(key);
  if (at == nullptr) return {};
  const auto text = at->AsText();
  const std::optional<T> parsed = text ? parse(*text) : std::nullopt;
  if (!parsed) return section.UnknownWord(key, *at, std::move(known));
  value = *parsed;
  return {};
}

Status ReadCodes(YamlSection& section, CodeType& dtype, Granularity& granularity, bool& symmetric) {
  SLIM_TRY(ReadWord(section, "dtype", ParseCodeType,
                    {"float", "int8", "int4", "fp8_e4m3", "mxfp8", "mxfp4"}, dtype));
  SLIM_TRY(ReadWord(
      section, "scope", ParseGranularity,
      {"per_tensor", "per_channel", "per_group", "per_block", "per_token", "pd_mix", "per_head"},
      granularity));
  SLIM_ASSIGN(const auto given, section.Bool("symmetric"));
  Assign(symmetric, given);
  return {};
}

// mx formats carry their axis; the last is the one there is.
Status ReadAxes(YamlSection& extra) {
  const Yaml* axes = extra.Take("axes");
  if (axes == nullptr || axes->AsInteger() == -1) return {};
  return extra.Refuse(*axes, "axes other than -1 are not supported");
}

Result<ActivationSettings> ReadActivation(YamlSection section) {
  ActivationSettings settings;
  SLIM_TRY(ReadCodes(section, settings.dtype, settings.granularity, settings.symmetric));
  const Yaml* method = section.Take("method");
  if (method != nullptr && settings.dtype != CodeType::kFloat) {
    SLIM_TRY(ReadWord(section, "method", ParseActivationMethod,
                      {"minmax", "histogram", "percentile", "auto", "output"}, settings.method));
  }
  SLIM_ASSIGN(YamlSection extra, section.Inner("ext", "ext of " + section.where()));
  SLIM_TRY(
      ReadWord(extra, "aggregation_type", ParseAggregation, {"max", "mean"}, settings.aggregation));
  SLIM_ASSIGN(const auto percentile, extra.Real("percentile", 50, 100));
  Assign(settings.percentile, percentile);
  SLIM_TRY(ReadAxes(extra));
  SLIM_TRY(extra.Done());
  SLIM_TRY(section.Done());
  return settings;
}

Status ReadWeightExtras(YamlSection& extra, WeightSettings& settings) {
  SLIM_ASSIGN(const auto group, extra.Integer("group_size", 1, kLargest));
  if (group) settings.group_size = static_cast<uint64_t>(*group);
  SLIM_ASSIGN(const auto steps, extra.Integer("step", 1, kLargest));
  if (steps) settings.steps = static_cast<uint64_t>(*steps);
  SLIM_ASSIGN(const auto block, extra.Integer("block_size", 1, kLargest));
  if (block) settings.block_size = static_cast<uint64_t>(*block);
  SLIM_ASSIGN(const auto damping, extra.Real("percdamp", 0, 1));
  Assign(settings.damping, damping);
  SLIM_ASSIGN(const auto correction, extra.Bool("bias_correction"));
  Assign(settings.bias_correction, correction);
  if (const Yaml* clip = extra.Take("clip"); clip != nullptr) {
    if (clip->text() != "mse" && clip->text() != "none")
      return extra.UnknownWord("clip", *clip, {"none", "mse"});
    settings.clip = clip->text() == "mse" ? WeightClip::kMse : WeightClip::kNone;
  }
  SLIM_TRY(ReadAxes(extra));
  return extra.Done();
}

Result<WeightSettings> ReadWeight(YamlSection section) {
  WeightSettings settings;
  SLIM_TRY(ReadCodes(section, settings.dtype, settings.granularity, settings.symmetric));
  SLIM_TRY(ReadWord(section, "method", ParseWeightMethod, {"minmax", "ssz", "gptq", "hqq", "awq"},
                    settings.method));
  SLIM_ASSIGN(YamlSection extra, section.Inner("ext", "ext of " + section.where()));
  SLIM_TRY(ReadWeightExtras(extra, settings));
  SLIM_TRY(section.Done());
  return settings;
}

// The key `qconfig`: {act, weight}.
Result<LinearSettings> ReadSettings(YamlSection& section) {
  const Yaml* at = section.Take("qconfig");
  if (at == nullptr) return section.Missing("qconfig");
  SLIM_ASSIGN(YamlSection config, section.Inner("qconfig", "qconfig"));
  LinearSettings settings;
  SLIM_ASSIGN(YamlSection activation, config.Inner("act", "act"));
  SLIM_ASSIGN(settings.activation, ReadActivation(activation));
  SLIM_ASSIGN(YamlSection weight, config.Inner("weight", "weight"));
  SLIM_ASSIGN(settings.weight, ReadWeight(weight));
  SLIM_TRY(config.Done());
  auto scheme = SchemeOf(settings.activation, settings.weight);
  if (!scheme.ok()) return section.Refuse(*at, scheme.error().message, scheme.error().hint);
  settings.scheme = *scheme;
  return settings;
}

Result<LinearStep> ReadLinearQuant(YamlSection& section) {
  LinearStep step;
  SLIM_ASSIGN(step.settings, ReadSettings(section));
  SLIM_TRY(ReadFilter(section, step.names));
  return step;
}

Status ReadPairs(YamlSection& section, std::vector<SmoothPair>& pairs) {
  const Yaml* at = section.Take("enable_subgraph_type");
  if (at == nullptr) return {};
  SLIM_ASSIGN(const std::vector<std::string> words, section.Texts("enable_subgraph_type"));
  pairs.clear();
  for (const std::string& word : words) {
    const auto pair = ParseSmoothPair(word);
    if (!pair) {
      return section.Refuse(*at, fmt::format("enable_subgraph_type {} is unknown", Quote(word)),
                            "known: norm-linear, linear-linear, ov, up-down");
    }
    pairs.push_back(*pair);
  }
  return {};
}

Result<SmoothStep> ReadSmooth(YamlSection& section, SmoothMethod method) {
  SmoothStep step;
  step.method = method;
  const bool iter = method == SmoothMethod::kIter;
  const bool plain = iter || method == SmoothMethod::kSmoothQuant;
  if (method == SmoothMethod::kSmoothQuant) {
    step.pairs = {SmoothPair::kNormLinear};
  } else {
    SLIM_TRY(ReadPairs(section, step.pairs));
  }
  if (method != SmoothMethod::kAwq) {
    SLIM_ASSIGN(step.alpha, section.Real("alpha", 0, 1));
  }
  if (method == SmoothMethod::kFlex) {
    SLIM_ASSIGN(step.beta, section.Real("beta", 0, 1));
  }
  if (plain) {
    SLIM_ASSIGN(const auto symmetric, section.Bool("symmetric"));
    Assign(step.symmetric, symmetric);
  }
  if (iter) {
    SLIM_ASSIGN(const auto scale_min, section.Real("scale_min", 0, 1));
    Assign(step.scale_min, scale_min);
  }
  if (method == SmoothMethod::kFlexAwqSsz) {
    SLIM_ASSIGN(step.target, ReadSettings(section));
  }
  SLIM_TRY(ReadFilter(section, step.names));
  return step;
}

// awq names the weights' settings alone.
Result<SmoothStep> ReadAwq(YamlSection& section) {
  SLIM_ASSIGN(SmoothStep step, ReadSmooth(section, SmoothMethod::kAwq));
  const Yaml* at = section.Take("weight_qconfig");
  if (at == nullptr) return section.Missing("weight_qconfig");
  SLIM_ASSIGN(YamlSection weight, section.Inner("weight_qconfig", "weight_qconfig"));
  LinearSettings target;
  SLIM_ASSIGN(target.weight, ReadWeight(weight));
  auto scheme = SchemeOf(target.activation, target.weight);
  if (!scheme.ok()) return section.Refuse(*at, scheme.error().message, scheme.error().hint);
  target.scheme = *scheme;
  step.target = target;
  SLIM_ASSIGN(const auto grid, section.Integer("n_grid", 1, 1000));
  if (grid) step.grid = static_cast<uint64_t>(*grid);
  return step;
}

Result<KvSmoothStep> ReadKvSmooth(YamlSection& section) {
  KvSmoothStep step;
  SLIM_ASSIGN(const auto factor, section.Real("smooth_factor", 1e-6, 1e6));
  Assign(step.factor, factor);
  SLIM_TRY(ReadFilter(section, step.names));
  return step;
}

Result<KvCacheStep> ReadDynamicCache(YamlSection& section) {
  KvCacheStep step;
  SLIM_ASSIGN(YamlSection config, section.Inner("qconfig", "qconfig"));
  CodeType dtype = CodeType::kInt8;
  Granularity granularity = Granularity::kPerChannel;
  SLIM_TRY(ReadCodes(config, dtype, granularity, step.symmetric));
  const Yaml* method = config.Take("method");
  SLIM_TRY(config.Done());
  if (dtype != CodeType::kInt8 || granularity != Granularity::kPerChannel ||
      (method != nullptr && method->text() != "minmax")) {
    return config.Refuse("dynamic_cache is int8 per_channel by minmax, nothing else");
  }
  SLIM_TRY(ReadFilter(section, step.names));
  // msModelSlim's default is the empty list, and means every attention module.
  if (step.names.include.empty()) step.names.include = {"*"};
  return step;
}

Result<AttentionStep> ReadAttention(YamlSection& section) {
  AttentionStep step;
  if (const Yaml* details = section.Take("details"); details != nullptr) {
    return section.Refuse(*details, "details of fa3_quant are not supported",
                          "int8 per_head for q, k and v is what slim makes: leave details out");
  }
  SLIM_ASSIGN(YamlSection config, section.Inner("qconfig", "qconfig"));
  CodeType dtype = CodeType::kInt8;
  Granularity granularity = Granularity::kPerHead;
  bool symmetric = true;
  SLIM_TRY(ReadCodes(config, dtype, granularity, symmetric));
  const Yaml* method = config.Take("method");
  SLIM_TRY(config.Done());
  if (dtype != CodeType::kInt8 || granularity != Granularity::kPerHead || !symmetric ||
      (method != nullptr && method->text() != "minmax")) {
    return config.Refuse("fa3_quant is symmetric int8 per_head by minmax, nothing else");
  }
  SLIM_TRY(ReadFilter(section, step.names));
  return step;
}

bool IsPowerOfTwo(int64_t value) {
  return value > 0 && std::has_single_bit(static_cast<uint64_t>(value));
}

Result<RotationStep> ReadRotation(YamlSection& section) {
  RotationStep step;
  SLIM_ASSIGN(const auto online, section.Bool("online"));
  Assign(step.online, online);
  SLIM_ASSIGN(const auto block, section.Integer("block_size", -1, kLargest));
  if (block && *block != -1) {
    if (!IsPowerOfTwo(*block))
      return section.Refuse(*section.Take("block_size"),
                            "block_size is no power of two and not -1");
    step.block_size = static_cast<uint64_t>(*block);
  }
  if (const Yaml* layers = section.Take("down_proj_online_layers"); layers != nullptr) {
    for (const Yaml& item : layers->items()) {
      const auto layer = item.AsInteger();
      if (!layer || *layer < 0)
        return section.Refuse(item, "down_proj_online_layers is a list of layer numbers");
      step.down_proj_online_layers.push_back(static_cast<uint64_t>(*layer));
    }
  }
  SLIM_ASSIGN(const auto tensor_parallel, section.Integer("max_tp_size", 1, kLargest));
  if (tensor_parallel) {
    if (!IsPowerOfTwo(*tensor_parallel))
      return section.Refuse(*section.Take("max_tp_size"), "max_tp_size is no power of two");
    step.max_tp_size = static_cast<uint64_t>(*tensor_parallel);
  }
  SLIM_ASSIGN(const auto extra, section.Bool("export_extra_info"));
  Assign(step.export_extra_info, extra);
  return step;
}

Result<SparseStep> ReadSparse(YamlSection& section) {
  SparseStep step;
  SLIM_ASSIGN(const auto ratio, section.Real("sparse_ratio", 0, 1));
  Assign(step.ratio, ratio);
  SLIM_TRY(ReadFilter(section, step.names));
  return step;
}

struct Processor {
  std::string_view type;
  Result<RecipeStep> (*read)(YamlSection& section);
};

template <auto kRead>
Result<RecipeStep> Step(YamlSection& section) {
  SLIM_ASSIGN(auto step, kRead(section));
  return RecipeStep(std::move(step));
}

template <SmoothMethod kMethod>
Result<RecipeStep> Smooth(YamlSection& section) {
  SLIM_ASSIGN(auto step, ReadSmooth(section, kMethod));
  return RecipeStep(std::move(step));
}

constexpr Processor kProcessors[] = {
    {"linear_quant", Step<ReadLinearQuant>},
    {"iter_smooth", Smooth<SmoothMethod::kIter>},
    {"smooth_quant", Smooth<SmoothMethod::kSmoothQuant>},
    {"flex_smooth_quant", Smooth<SmoothMethod::kFlex>},
    {"flex_awq_ssz", Smooth<SmoothMethod::kFlexAwqSsz>},
    {"awq", Step<ReadAwq>},
    {"kv_smooth", Step<ReadKvSmooth>},
    {"dynamic_cache", Step<ReadDynamicCache>},
    {"fa3_quant", Step<ReadAttention>},
    {"quarot", Step<ReadRotation>},
    {"float_sparse", Step<ReadSparse>},
};

class RecipeReader {
 public:
  RecipeReader(const Yaml& root, const std::string& source) : root_(root), source_(source) {}

  Result<RecipeFile> Read() {
    SLIM_ASSIGN(YamlSection top, YamlSection::Open(root_, source_, "the recipe"));
    const Yaml* version = top.Take("apiversion");
    const Yaml* spec_value = top.Take("spec");
    const Yaml* metadata = top.Take("metadata");
    // Other keys hold anchors.
    SLIM_TRY(top.DoneLeniently());
    if (version == nullptr) {
      return top.Refuse("the recipe has no apiversion",
                        "modelslim_v1 is that of msModelSlim's one-click recipes");
    }
    if (metadata != nullptr) SLIM_TRY(ReadMetadata(*metadata));
    if (spec_value == nullptr) return top.Missing("spec");
    SLIM_ASSIGN(YamlSection spec, YamlSection::Open(*spec_value, source_, "spec"));
    if (version->text() == "modelslim_v1") {
      SLIM_TRY(ReadSpec(spec));
    } else if (version->text() == "modelslim_v0") {
      SLIM_ASSIGN(file_.recipe, ReadTraditionalSpec(spec));
    } else if (version->text() == "modelslim_convert") {
      SLIM_TRY(ReadConvertSpec(spec));
    } else {
      return top.UnknownWord("apiversion", *version,
                             {"modelslim_v1", "modelslim_v0", "modelslim_convert"});
    }
    return std::move(file_);
  }

 private:
  Status ReadMetadata(const Yaml& value) {
    RecipeMetadata& metadata = file_.metadata;
    SLIM_ASSIGN(YamlSection section, YamlSection::Open(value, source_, "metadata"));
    SLIM_ASSIGN(const auto id, section.Text("config_id"));
    Assign(metadata.config_id, id);
    SLIM_ASSIGN(const auto score, section.Real("score", 0, 1e9));
    Assign(metadata.score, score);
    SLIM_ASSIGN(metadata.verified_model_types, section.Texts("verified_model_types"));
    SLIM_ASSIGN(YamlSection tags, section.Inner("verified_tags", "verified_tags"));
    SLIM_TRY(ReadTags(tags));
    SLIM_ASSIGN(YamlSection label, section.Inner("label", "label"));
    SLIM_TRY(ReadLabel(label));
    return section.DoneLeniently();
  }

  Status ReadTags(const YamlSection& tags) {
    for (const auto& [model, scenarios] : tags.value().members()) {
      auto& list = file_.metadata.verified_tags.emplace_back(
          model.text(), std::vector<std::vector<std::string>>());
      for (const Yaml& scenario : scenarios.items()) {
        std::vector<std::string>& words = list.second.emplace_back();
        for (const Yaml& word : scenario.items()) words.push_back(word.text());
      }
    }
    return {};
  }

  Status ReadLabel(YamlSection& label) {
    RecipeMetadata& metadata = file_.metadata;
    SLIM_ASSIGN(const auto weight_bits, label.Integer("w_bit", 1, 32));
    Assign(metadata.w_bit, weight_bits);
    SLIM_ASSIGN(const auto activation_bits, label.Integer("a_bit", 1, 32));
    Assign(metadata.a_bit, activation_bits);
    SLIM_ASSIGN(const auto attention_bits, label.Integer("fa_bit", 1, 32));
    Assign(metadata.fa_bit, attention_bits);
    SLIM_ASSIGN(const auto attention, label.Bool("fa_quant"));
    if (attention.value_or(false) && metadata.fa_bit == 0) metadata.fa_bit = 8;
    SLIM_ASSIGN(const auto sparse, label.Bool("is_sparse"));
    Assign(metadata.is_sparse, sparse);
    SLIM_ASSIGN(const auto cache, label.Bool("kv_cache"));
    Assign(metadata.kv_cache, cache);
    return label.DoneLeniently();
  }

  Status ReadSpec(YamlSection& spec) {
    // Whole model or layer by layer is the same to us; the key is read so that a typo is seen.
    if (const Yaml* runner = spec.Take("runner"); runner != nullptr) {
      const std::string& word = runner->text();
      if (word != "auto" && word != "model_wise" && word != "layer_wise" && word != "dp_layer_wise")
        return spec.UnknownWord("runner", *runner,
                                {"auto", "model_wise", "layer_wise", "dp_layer_wise"});
    }
    SLIM_TRY(ReadPrior(spec));
    SLIM_ASSIGN(file_.recipe.process, ReadProcess(spec));
    SLIM_TRY(ReadSave(spec));
    SLIM_ASSIGN(const auto dataset, spec.Text("dataset"));
    Assign(file_.recipe.calibration_file, dataset);
    return spec.Done();
  }

  Status ReadPrior(YamlSection& spec) {
    const Yaml* prior = spec.Take("prior");
    if (prior == nullptr) return {};
    if (!prior->is_sequence()) return spec.Refuse(*prior, "prior of spec is no list");
    for (const Yaml& item : prior->items()) {
      SLIM_ASSIGN(YamlSection section, YamlSection::Open(item, source_, "prior"));
      PriorPass pass;
      SLIM_ASSIGN(pass.process, ReadProcess(section));
      SLIM_ASSIGN(const auto dataset, section.Text("dataset"));
      Assign(pass.calibration_file, dataset);
      SLIM_TRY(section.Done());
      file_.recipe.prior.push_back(std::move(pass));
    }
    return {};
  }

  Result<std::vector<RecipeUnit>> ReadProcess(YamlSection& section) {
    std::vector<RecipeUnit> units;
    const Yaml* process = section.Take("process");
    if (process == nullptr) return section.Missing("process");
    if (!process->is_sequence())
      return section.Refuse(*process, fmt::format("process of {} is no list", section.where()));
    for (const Yaml& item : process->items()) {
      RecipeUnit unit;
      SLIM_TRY(ReadProcessor(item, true, unit));
      units.push_back(std::move(unit));
    }
    if (units.empty()) return section.Refuse(*process, "process is empty: nothing to do");
    return units;
  }

  Status ReadProcessor(const Yaml& item, bool may_be_group, RecipeUnit& unit) {
    SLIM_ASSIGN(YamlSection section, YamlSection::Open(item, source_, "a processor"));
    const Yaml* type = section.Take("type");
    if (type == nullptr) return section.Missing("type");
    SLIM_ASSIGN(section, YamlSection::Open(item, source_, Escape(type->text())));
    section.Take("type");
    if (type->text() == "group" && may_be_group) return ReadGroup(section, unit);
    std::vector<std::string> known;
    for (const Processor& processor : kProcessors) {
      known.emplace_back(processor.type);
      if (type->text() != processor.type) continue;
      SLIM_ASSIGN(RecipeStep step, processor.read(section));
      unit.steps.push_back(std::move(step));
      return section.Done();
    }
    for (const std::string_view foreign : kForeignProcessors) {
      if (type->text() == foreign)
        return section.Refuse(*type,
                              fmt::format("processor {} is one that slim does not have", foreign),
                              "known: " + Join(known, ", "));
    }
    if (may_be_group) known.emplace_back("group");
    const std::string near = NearestSpelling(type->text(), known);
    return section.Refuse(
        *type, fmt::format("processor {} is unknown", Quote(type->text())),
        near.empty() ? "known: " + Join(known, ", ") : fmt::format("did you mean {}?", near));
  }

  Status ReadGroup(YamlSection& section, RecipeUnit& unit) {
    const Yaml* configs = section.Take("configs");
    if (configs == nullptr || !configs->is_sequence() || configs->items().empty())
      return section.Refuse("a group has no list of configs");
    for (const Yaml& config : configs->items()) SLIM_TRY(ReadProcessor(config, false, unit));
    return section.Done();
  }

  Status ReadSave(YamlSection& spec) {
    const Yaml* save = spec.Take("save");
    if (save == nullptr) return {};
    if (!save->is_sequence() || save->items().empty())
      return spec.Refuse(*save, "save of spec is no list of savers");
    if (save->items().size() > 1)
      return spec.Refuse(save->items()[1], "a second saver is not supported",
                         "slim-convert makes the other layout from the first");
    SLIM_ASSIGN(YamlSection saver, YamlSection::Open(save->items()[0], source_, "save"));
    const Yaml* type = saver.Take("type");
    if (type == nullptr) return saver.Missing("type");
    SLIM_TRY(ReadLayout(saver, *type));
    SLIM_ASSIGN(const auto part, saver.Integer("part_file_size", 0, 1'000'000));
    SLIM_TRY(ReadPartSize(part));
    SLIM_ASSIGN(YamlSection extra, saver.Inner("ext", "ext of save"));
    SLIM_TRY(extra.Done());
    return saver.Done();
  }

  Status ReadLayout(const YamlSection& saver, const Yaml& type) {
    struct Saver {
      std::string_view type;
      std::string_view layout;
    };
    constexpr Saver kSavers[] = {{"ascendv1_saver", "ascendv1"},
                                 {"mindie_format_saver", "mindie"},
                                 {"ascend_v1", "ascendv1"},
                                 {"ascendv1", "ascendv1"}};
    if (type.text() == "compressed_tensors") {
      return saver.Refuse(type, "slim-quant does not write the layout of compressed_tensors itself",
                          "save with ascendv1_saver, then slim-convert --to compressed-tensors, "
                          "which is exact");
    }
    std::vector<std::string> known;
    for (const Saver& row : kSavers) {
      known.emplace_back(row.type);
      if (type.text() != row.type) continue;
      auto layout = ParseDialect(row.layout);
      if (!layout.ok()) return saver.Refuse(type, layout.error().message, layout.error().hint);
      file_.recipe.layout = *layout;
      return {};
    }
    return saver.UnknownWord("type", type, std::move(known));
  }

  // GiB, default 4; 0 is one file.
  Status ReadPartSize(std::optional<int64_t> part) {
    const uint64_t gibibytes = static_cast<uint64_t>(part.value_or(4));
    file_.recipe.part_size = gibibytes << 30;
    if (gibibytes == 0 && file_.recipe.layout == Dialect::kAscendV1)
      file_.recipe.part_size = kOneFile;
    return {};
  }

  // Linears matched by name, whatever the architecture; everything else is carried.
  Status ReadConvertSpec(YamlSection& spec) {
    for (const std::string_view key : {"preprocess", "defaults"}) {
      if (const Yaml* found = spec.Take(key); found != nullptr && !found->items().empty())
        return spec.Refuse(*found, fmt::format("{} of modelslim_convert is not supported", key));
    }
    spec.Take("parallel");  // worker counts: --threads is ours
    const Yaml* linears = spec.Take("linears");
    if (linears == nullptr || !linears->is_sequence() || linears->items().empty())
      return spec.Refuse("spec has no list of linears");
    for (const Yaml& item : linears->items()) {
      SLIM_ASSIGN(YamlSection section, YamlSection::Open(item, source_, "linears"));
      SLIM_ASSIGN(LinearStep step, ReadConvertLinear(section));
      file_.recipe.process.push_back({{std::move(step)}});
    }
    SLIM_TRY(ReadSave(spec));
    return spec.Done();
  }

  Result<LinearStep> ReadConvertLinear(YamlSection& section) {
    struct Target {
      std::string_view word;
      Scheme scheme;
    };
    constexpr Target kTargets[] = {{"W8A8_MXFP8", Scheme::kW8A8MXFP8},
                                   {"W4A4_MXFP4", Scheme::kW4A4MXFP4},
                                   {"W4A8_MXFP8", Scheme::kW4A8MXFP}};
    LinearStep step;
    step.whole_model = true;
    step.names.include.clear();
    SLIM_TRY(ReadNames(section, "match", step.names.include));
    section.Take("route");
    const Yaml* target = section.Take("target");
    if (target == nullptr) return section.Missing("target");
    if (target->text() == "FLOAT") {
      return section.Refuse(*target, "target FLOAT dequantizes, slim-quant does not",
                            "slim-convert IN -o OUT --to hf --dequantize does");
    }
    SLIM_TRY(section.Done());
    std::vector<std::string> known = {"FLOAT"};
    for (const Target& row : kTargets) {
      known.emplace_back(row.word);
      if (target->text() != row.word) continue;
      step.settings = SettingsOf(row.scheme);
      return step;
    }
    return section.UnknownWord("target", *target, std::move(known));
  }

  const Yaml& root_;
  const std::string& source_;
  RecipeFile file_;
};

}  // namespace

Result<RecipeFile> ParseRecipe(std::string_view text, const std::string& source) {
  SLIM_ASSIGN(const Yaml root, ParseYaml(text, source));
  return RecipeReader(root, source).Read();
}

}  // namespace slim
