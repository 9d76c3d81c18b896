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

  void AddLinear(const std::string& module, uint64_t n, uint64_t k, const std::string& label) {
    const bool is_static = label == "W8A8";
    Add(module + ".weight", label == "FLOAT" ? float_dtype : DType::kI8, {n, k}, label);
    if (Chance(3)) Add(module + ".bias", Chance(2) ? DType::kF32 : float_dtype, {n}, "FLOAT");
    if (label == "FLOAT") return;
    // Traditional writers put weight_scale beside static layers, one-click does not.
    if (!is_static || seven_tensors) {
      Add(module + ".weight_scale", scale, {n, 1}, label);
      Add(module + ".weight_offset", scale, {n, 1}, label);
    }
    if (!is_static) return;
    Add(module + ".input_scale", scale, {1}, label);
    Add(module + ".input_offset", scale, {1}, label);
    Add(module + ".quant_bias", DType::kI32, {n}, label);
    Add(module + ".deq_scale", deq, {n}, label);
  }

  void AddNorm(const std::string& module, bool copies) {
    Add(module + ".weight", float_dtype, {hidden}, "FLOAT");
    if (!smoothed) return;
    Add(module + ".bias", float_dtype, {hidden}, "FLOAT");
    if (!copies) return;
    for (const char* suffix : {"weight", "bias"}) {
      const uint32_t shard = tensors[tensors.size() - 2].shard;  // of the original
      Add(module + ".module." + suffix, float_dtype, {hidden}, type);
      tensors.back().shard = shard;
    }
  }

  void Compose(Dialect dialect) {
    const std::string types[] = {"W8A8", "W8A8_DYNAMIC", "W8A16"};
    type = types[Pick(3)];
    hidden = 8 * (1 + Pick(4));
    layers = 1 + Pick(3);
    shards = Chance(3) ? 1 + static_cast<uint32_t>(Pick(4)) : 1;
    seven_tensors = Chance(2);
    smoothed = Chance(2);
    float_dtype = Chance(2) ? DType::kBF16 : DType::kF16;
    scale = Chance(2) ? DType::kF32 : float_dtype;
    deq = float_dtype == DType::kBF16 ? DType::kF32 : DType::kI64;
    Add("model.embed_tokens.weight", float_dtype, {24, hidden}, "FLOAT");
    const bool copies = dialect == Dialect::kMindIE;
    for (uint64_t layer = 0; layer < layers; ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      const bool attention_float = Chance(4);
      for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"})
        AddLinear(prefix + "self_attn." + name, hidden, hidden, attention_float ? "FLOAT" : type);
      for (const char* name : {"gate_proj", "up_proj"})
        AddLinear(prefix + "mlp." + name, 2 * hidden, hidden, type);
      AddLinear(prefix + "mlp.down_proj", hidden, 2 * hidden, "FLOAT");
      AddNorm(prefix + "input_layernorm", copies);
      AddNorm(prefix + "post_attention_layernorm", copies);
    }
    AddNorm("model.norm", copies);
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
    for (char& byte : bytes) byte = static_cast<char>(data() % 60);  // no NaN in any dtype
    return bytes;
  }

  std::string Config(Dialect dialect) {
    const bool wide = Chance(2);
    const std::string gap = wide ? "\n    " : Chance(2) ? "\n  " : " ";
    std::string text = "{" + gap + R"("model_type": "other",)" + gap + R"("rms_norm_eps": 1e-06,)" +
                       gap + "\"torch_dtype\": \"" + std::string(TorchDTypeName(float_dtype)) +
                       "\"";
    if (dialect == Dialect::kMindIE) {
      text += "," + gap + "\"quantize\": \"" + ToLower(type) + "\"";
      if (Chance(2))
        text += "," + gap + R"("quantization_config": {"group_size": 0, "kv_quant_type": null})";
    } else if (Chance(3)) {
      text += "," + gap + "\"quantize\": \"" + ToLower(type) + "\"," + gap + "\"use_cache\": true";
    }
    return text + (wide ? "\n}\n" : gap.size() > 1 ? "\n}" : "}");
  }

  void Write(Dialect dialect, const std::string& path) {
    Compose(dialect);
    WritePlan plan;
    plan.dialect = dialect;
    plan.globals.model_quant_type = type;
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
