// The law of exact edges: A to B to A gives the same bytes, for small checkpoints of random
// composition (types, biases, optional tensors, smoothed norms, shards, config.json's format).
#include <random>

#include "base/text.h"
#include "checkpoint/checkpoint_writer.h"
#include "convert/testing.h"

namespace slim {
namespace {

struct RandomCheckpoint {
  explicit RandomCheckpoint(uint32_t seed) : random(seed) {}

  uint64_t Pick(uint64_t count) { return random() % count; }
  bool Chance(uint64_t one_in) { return Pick(one_in) == 0; }

  void Add(const std::string& name, DType dtype, Shape shape, const std::string& label) {
    tensors.push_back(
        {{name, dtype, std::move(shape)}, label, static_cast<uint32_t>(Pick(shards))});
  }

  // Codes of an int4 layer as the dialect stores them.
  void AddInt4Weight(const std::string& module, uint64_t n, uint64_t k, const std::string& label) {
    const bool rows = label == "W4A8_DYNAMIC" || groups > 1;
    const Shape packed = rows ? Shape{n / 2, k} : Shape{n, k / 2};
    Add(module + ".weight", DType::kI8, mindie ? Shape{n, k} : packed, label);
    const bool two_stage = label == "W4A8_DYNAMIC" && groups > 1;
    const uint64_t columns = two_stage ? 1 : groups;
    Add(module + ".weight_scale", scale, {n, columns}, label);
    Add(module + ".weight_offset", scale, {n, columns}, label);
    if (label != "W4A8_DYNAMIC") return;
    if (two_stage) {
      Add(module + ".weight_scale_second", scale, {n, groups}, label);
      Add(module + ".weight_offset_second", scale, {n, groups}, label);
    }
    // MindIE's form has none; one that slim would not compute travels.
    if (!mindie || kept_scale_bias) Add(module + ".scale_bias", DType::kF32, {n, 1}, label);
  }

  void AddLinear(const std::string& module, uint64_t n, uint64_t k, const std::string& label) {
    if (label.starts_with("W4")) {
      AddInt4Weight(module, n, k, label);
      return;
    }
    const bool is_float = label == "FLOAT" || label == "W16A16S";
    const bool is_static = label == "W8A8" || label == "W8A8_MIX" || label == "W8A8S";
    const std::string& written = mindie && label == "W8A8_MIX" ? "W8A8" : label;
    Add(module + ".weight", is_float ? float_dtype : DType::kI8, {n, k}, written);
    if (Chance(3))
      Add(module + ".bias", Chance(2) ? DType::kF32 : float_dtype, {n},
          label == "W16A16S" ? label : "FLOAT");
    if (is_float) return;
    // Traditional writers put weight_scale beside static layers, one-click does not.
    if (!is_static || label == "W8A8_MIX" || (label == "W8A8" && seven_tensors)) {
      const uint64_t columns = label == "W8A16" ? groups : 1;
      Add(module + ".weight_scale", scale, {n, columns}, written);
      Add(module + ".weight_offset", scale, {n, columns}, written);
    }
    if (!is_static) return;
    Add(module + ".input_scale", scale, {1}, written);
    Add(module + ".input_offset", scale, {1}, written);
    Add(module + ".quant_bias", DType::kI32, {n}, written);
    Add(module + ".deq_scale", deq, {n}, written);
  }

  void AddCache(const std::string& attention, uint64_t channels) {
    for (const char* projection : {".k_proj", ".v_proj"}) {
      for (const char* part : {".kv_cache_scale", ".kv_cache_offset"})
        Add(attention + projection + part, scale, {channels}, "C8");
    }
  }

  std::string FileType() const { return mindie && type == "W8A8_MIX" ? "W8A8" : type; }

  void AddNorm(const std::string& module) {
    Add(module + ".weight", float_dtype, {hidden}, "FLOAT");
    if (!smoothed) return;
    Add(module + ".bias", float_dtype, {hidden}, "FLOAT");
    if (!mindie) return;
    for (const char* suffix : {"weight", "bias"}) {
      const uint32_t shard = tensors[tensors.size() - 2].shard;  // of the original
      Add(module + ".module." + suffix, float_dtype, {hidden}, FileType());
      tensors.back().shard = shard;
    }
  }

  void Compose(Dialect dialect) {
    const std::string types[] = {"W8A8",  "W8A8_DYNAMIC", "W8A16",        "W8A8_MIX",
                                 "W8A8S", "W4A16",        "W4A8_DYNAMIC", "W16A16S"};
    type = types[Pick(8)];
    hidden = 16 * (1 + Pick(3));
    mindie = dialect == Dialect::kMindIE;
    groups = Chance(2) ? 1 : 4;
    group_size = type.starts_with("W4") && Chance(2) ? hidden / 4 : 0;
    cache = Chance(4);
    kept_scale_bias = Chance(3);
    layers = 1 + Pick(3);
    shards = Chance(3) ? 1 + static_cast<uint32_t>(Pick(4)) : 1;
    seven_tensors = Chance(2);
    smoothed = Chance(2);
    float_dtype = Chance(2) ? DType::kBF16 : DType::kF16;
    scale = Chance(2) ? DType::kF32 : float_dtype;
    deq = float_dtype == DType::kBF16 ? DType::kF32 : DType::kI64;
    Add("model.embed_tokens.weight", float_dtype, {24, hidden}, "FLOAT");
    for (uint64_t layer = 0; layer < layers; ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      const bool attention_float = Chance(4);
      for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"})
        AddLinear(prefix + "self_attn." + name, hidden, hidden, attention_float ? "FLOAT" : type);
      if (cache) AddCache(prefix + "self_attn", hidden);
      for (const char* name : {"gate_proj", "up_proj"})
        AddLinear(prefix + "mlp." + name, 2 * hidden, hidden, type);
      AddLinear(prefix + "mlp.down_proj", hidden, 2 * hidden, "FLOAT");
      AddNorm(prefix + "input_layernorm");
      AddNorm(prefix + "post_attention_layernorm");
    }
    AddNorm("model.norm");
    if (Chance(2)) Add("lm_head.weight", float_dtype, {24, hidden}, "FLOAT");
  }

  // The same bytes for the tensors that loaders fuse or hold equal; any bytes for the rest.
  std::string DataOf(const TensorSpec& spec) {
    const uint64_t size = ByteSize(spec.dtype, spec.shape).value();
    std::string name = spec.name;
    const size_t copy = name.find(".module.");
    if (copy != std::string::npos) name.replace(copy, 8, ".");
    const bool shared = name.ends_with("input_scale") || name.ends_with("input_offset");
    std::mt19937 data(shared ? 7U : static_cast<uint32_t>(std::hash<std::string>()(name)));
    std::string bytes(size, '\0');
    const bool int4 =
        name.ends_with("weight") && spec.dtype == DType::kI8 && mindie && type.starts_with("W4");
    for (char& byte : bytes)  // no NaN in any dtype
      byte = static_cast<char>(int4 ? static_cast<int>(data() % 16) - 8
                                    : static_cast<int>(data() % 60));
    return bytes;
  }

  std::string Config(Dialect dialect) {
    const bool wide = Chance(2);
    const std::string gap = wide ? "\n    " : Chance(2) ? "\n  " : " ";
    std::string text = "{" + gap + R"("model_type": "other",)" + gap + R"("rms_norm_eps": 1e-06,)" +
                       gap + "\"torch_dtype\": \"" + std::string(TorchDTypeName(float_dtype)) +
                       "\"";
    if (dialect == Dialect::kMindIE) {
      text += "," + gap + "\"quantize\": \"" + ToLower(FileType()) + "\"";
      const bool mix = type == "W8A8_MIX";
      const std::string size = "\"group_size\": " + std::to_string(group_size);
      if (Chance(2)) {
        text += "," + gap + "\"quantization_config\": {" + size + ", \"kv_quant_type\": null" +
                (mix ? ", \"pdmix\": true}" : "}");
      } else if (mix || group_size > 0) {
        text += "," + gap + "\"quantization_config\": {" +
                (group_size > 0 ? size + (mix ? ", " : "") : "") + (mix ? "\"pdmix\": true}" : "}");
      }
    } else if (Chance(3)) {
      text += "," + gap + "\"quantize\": \"" + ToLower(type) + "\"," + gap + "\"use_cache\": true";
    }
    return text + (wide ? "\n}\n" : gap.size() > 1 ? "\n}" : "}");
  }

  void Write(Dialect dialect, const std::string& path) {
    Compose(dialect);
    WritePlan plan;
    plan.dialect = dialect;
    plan.globals.model_quant_type = FileType();
    if (dialect != Dialect::kMindIE) plan.globals.group_size = static_cast<int64_t>(group_size);
    if (cache) {
      for (const char* key : {"kv_cache_type", "kv_quant_type"})
        plan.globals.others.emplace_back(key, "C8");
    }
    plan.tensors = tensors;
    plan.keep_shards = true;
    plan.shard_count = shards;
    auto writer =
        CheckpointWriter::Create(plan, path, {.force = false, .fsync = false}, SilentListener());
    ASSERT_TRUE(writer.ok()) << writer.error().ToString();
    for (const PlannedTensor& tensor : tensors) {
      const std::string data = DataOf(tensor.spec);
      ASSERT_TRUE(writer->Write(tensor.spec.name, std::as_bytes(std::span(data))).ok());
    }
    ASSERT_TRUE(writer->WriteSideFile("config.json", Config(dialect)).ok());
    ASSERT_TRUE(writer->WriteSideFile("tokenizer.json", "{}").ok());
    ASSERT_TRUE(writer->Finish().ok());
    ASSERT_TRUE(writer->Commit().ok());
  }

  std::mt19937 random;
  std::vector<PlannedTensor> tensors;
  std::string type;
  uint64_t hidden = 8;
  uint64_t layers = 1;
  uint32_t shards = 1;
  bool mindie = false;
  uint64_t groups = 1;
  uint64_t group_size = 0;
  bool cache = false;
  bool kept_scale_bias = false;
  bool seven_tensors = false;
  bool smoothed = false;
  DType float_dtype = DType::kBF16;
  DType scale = DType::kF32;
  DType deq = DType::kF32;
};

TEST(RoundTrip, TwoHundredRandomCheckpoints) {
  const Dialect dialects[] = {Dialect::kAscendV1, Dialect::kAscendV1V0, Dialect::kMindIE};
  int checked = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    const Dialect home = dialects[seed % 3];
    const Dialect through = dialects[(seed % 3 + 1 + seed / 3 % 2) % 3];
    const ScratchFolder scratch;
    RandomCheckpoint checkpoint(seed);
    checkpoint.Write(home, scratch.Path("a"));
    if (testing::Test::HasFatalFailure()) return;
    MustConvert(scratch.Path("a"), scratch.Path("b"), To(through));
    if (testing::Test::HasFatalFailure()) return;
    MustConvert(scratch.Path("b"), scratch.Path("c"), To(home));
    if (testing::Test::HasFatalFailure()) return;
    ASSERT_EQ(Differences(scratch.Path("a"), scratch.Path("c")), std::vector<std::string>())
        << "seed " << seed << ", " << DialectName(home) << " through " << DialectName(through);
    ++checked;
  }
  EXPECT_EQ(checked, 200);
}

}  // namespace
}  // namespace slim
