// GPTQ, AWQ, compressed-tensors and FP8 blocks against layouts spelled out here bit by bit from the
// facts (ecosystem.md 1.3 B to E), independently of linear/packed_codes.
#include <algorithm>
#include <cmath>
#include <random>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/layer_reader.h"
#include "convert/testing.h"
#include "dtype/scalar_convert.h"
#include "linear/packed_codes.h"

namespace slim {
namespace {

constexpr uint64_t kN = 16;
constexpr uint64_t kK = 64;

template <class T>
Tensor Filled(DType dtype, Shape shape, const std::vector<T>& values) {
  Tensor tensor(dtype, std::move(shape));
  std::ranges::copy(values, tensor.as<T>().begin());
  return tensor;
}

// A directory with the given tensors, one embedding, and a config.json.
void WriteFolder(const std::string& path, std::map<std::string, Tensor> tensors,
                 const std::string& quantization_config) {
  tensors["model.embed_tokens.weight"] =
      Filled<uint16_t>(DType::kBF16, {4, 2}, std::vector<uint16_t>(8, 0x3F80));
  WritePlan plan;
  plan.dialect = Dialect::kHf;
  for (const auto& [name, tensor] : tensors)
    plan.tensors.push_back({{name, tensor.dtype, tensor.shape}, "FLOAT", 0});
  auto writer =
      CheckpointWriter::Create(plan, path, {.force = true, .fsync = false}, SilentListener());
  ASSERT_TRUE(writer.ok()) << writer.error().ToString();
  for (const auto& [name, tensor] : tensors)
    ASSERT_TRUE(writer->Write(name, tensor.data.bytes()).ok());
  ASSERT_TRUE(
      writer
          ->WriteSideFile("config.json", R"({"model_type": "other", "torch_dtype": "bfloat16", )"
                                         R"("quantization_config": )" +
                                             quantization_config + "}")
          .ok());
  ASSERT_TRUE(writer->Finish().ok());
  ASSERT_TRUE(writer->Commit().ok());
}

// Unsigned codes [n][k], zero points and scales [n][groups] of one random layer.
struct Layer {
  Layer(int bits_in, uint64_t groups_in, uint32_t seed) : bits(bits_in), groups(groups_in) {
    std::mt19937 random(seed);
    for (uint64_t i = 0; i < kN * kK; ++i)
      codes.push_back(static_cast<uint32_t>(random()) & Mask());
    for (uint64_t i = 0; i < kN * groups; ++i) {
      zeros.push_back(static_cast<uint32_t>(random()) & Mask());
      scales.push_back(FloatToF16(0.001F + static_cast<float>(random() % 1000) * 1e-5F));
    }
    for (uint64_t j = 0; j < kK; ++j) group.push_back(static_cast<int32_t>(j / (kK / groups)));
  }

  uint32_t Mask() const { return (1U << bits) - 1; }

  float Value(uint64_t i, uint64_t j) const {
    const uint64_t at = i * groups + static_cast<uint64_t>(group[j]);
    return (static_cast<float>(codes[i * kK + j]) - static_cast<float>(zeros[at])) *
           F16ToFloat(scales[at]);
  }

  // [k · bits / 32, n], [groups, n · bits / 32], [groups, n], [k].
  std::map<std::string, Tensor> Gptq(bool v1) const {
    const uint64_t fields = 32 / static_cast<uint64_t>(bits);
    std::vector<uint32_t> qweight(kK / fields * kN, 0);
    std::vector<uint32_t> qzeros(groups * kN / fields, 0);
    std::vector<uint16_t> matrix(groups * kN);
    for (uint64_t i = 0; i < kN; ++i) {
      for (uint64_t j = 0; j < kK; ++j)
        qweight[j / fields * kN + i] |= codes[i * kK + j]
                                        << (j % fields * static_cast<uint64_t>(bits));
      for (uint64_t g = 0; g < groups; ++g) {
        const uint32_t stored = (zeros[i * groups + g] - (v1 ? 1U : 0U)) & ((1U << bits) - 1);
        qzeros[g * kN / fields + i / fields] |= stored
                                                << (i % fields * static_cast<uint64_t>(bits));
        matrix[g * kN + i] = scales[i * groups + g];
      }
    }
    std::map<std::string, Tensor> out;
    out["l.qweight"] = Filled(DType::kI32, {kK / fields, kN}, qweight);
    out["l.qzeros"] = Filled(DType::kI32, {groups, kN / fields}, qzeros);
    out["l.scales"] = Filled(DType::kF16, {groups, kN}, matrix);
    out["l.g_idx"] = Filled(DType::kI32, {kK}, group);
    return out;
  }

  std::map<std::string, Tensor> Awq() const {
    constexpr uint64_t kOrder[] = {0, 2, 4, 6, 1, 3, 5, 7};
    std::vector<uint32_t> qweight(kK * kN / 8, 0);
    std::vector<uint32_t> qzeros(groups * kN / 8, 0);
    std::vector<uint16_t> matrix(groups * kN);
    for (uint64_t word = 0; word < kN / 8; ++word) {
      for (uint64_t nibble = 0; nibble < 8; ++nibble) {
        const uint64_t i = word * 8 + kOrder[nibble];
        for (uint64_t j = 0; j < kK; ++j)
          qweight[j * kN / 8 + word] |= codes[i * kK + j] << (4 * nibble);
        for (uint64_t g = 0; g < groups; ++g) {
          qzeros[g * kN / 8 + word] |= zeros[i * groups + g] << (4 * nibble);
          matrix[g * kN + i] = scales[i * groups + g];
        }
      }
    }
    std::map<std::string, Tensor> out;
    out["l.qweight"] = Filled(DType::kI32, {kK, kN / 8}, qweight);
    out["l.qzeros"] = Filled(DType::kI32, {groups, kN / 8}, qzeros);
    out["l.scales"] = Filled(DType::kF16, {groups, kN}, matrix);
    return out;
  }

  std::map<std::string, Tensor> Packed() const {
    const uint64_t fields = 32 / static_cast<uint64_t>(bits);
    std::vector<uint32_t> packed(kN * kK / fields, 0);
    std::vector<uint32_t> zero(kN / fields * groups, 0);
    for (uint64_t i = 0; i < kN; ++i) {
      for (uint64_t j = 0; j < kK; ++j)
        packed[(i * kK + j) / fields] |= codes[i * kK + j]
                                         << (j % fields * static_cast<uint64_t>(bits));
      for (uint64_t g = 0; g < groups; ++g)
        zero[i / fields * groups + g] |= zeros[i * groups + g]
                                         << (i % fields * static_cast<uint64_t>(bits));
    }
    std::map<std::string, Tensor> out;
    out["l.weight_packed"] = Filled(DType::kI32, {kN, kK / fields}, packed);
    out["l.weight_zero_point"] = Filled(DType::kI32, {kN / fields, groups}, zero);
    out["l.weight_scale"] = Filled(DType::kF16, {kN, groups}, scales);
    out["l.weight_shape"] = Filled<int64_t>(DType::kI64, {2}, {kN, kK});
    return out;
  }

  int bits;
  uint64_t groups;
  std::vector<uint32_t> codes;
  std::vector<uint32_t> zeros;
  std::vector<uint16_t> scales;
  std::vector<int32_t> group;
};

ConvertOptions Dequantize() {
  ConvertOptions options = To(Dialect::kHf);
  options.dequantize = true;
  options.dtype = DType::kF32;
  return options;
}

void ExpectFloats(const std::string& path, const Layer& layer) {
  const auto out = Checkpoint::Open(path);
  ASSERT_TRUE(out.ok());
  const auto weight = out->Read("l.weight");
  ASSERT_TRUE(weight.ok());
  ASSERT_EQ(weight->shape, (Shape{kN, kK}));
  for (uint64_t i = 0; i < kN; ++i) {
    for (uint64_t j = 0; j < kK; ++j)
      ASSERT_EQ(weight->as<float>()[i * kK + j], layer.Value(i, j)) << i << ", " << j;
  }
}

// The layer as slim-run computes it, without a conversion.
void ExpectComputable(const std::string& path, const Layer& layer) {
  const auto in = Checkpoint::OpenToCompute(path);
  ASSERT_TRUE(in.ok()) << in.error().ToString();
  const auto record = in->ReadLinear("l");
  ASSERT_TRUE(record.ok()) << record.error().ToString();
  const auto scheme = in->SchemeOf("l");
  ASSERT_TRUE(scheme.ok());
  EXPECT_EQ(record->scheme, *scheme);
  std::vector<float> row(kK);
  for (uint64_t i = 0; i < kN; ++i) {
    DequantizeWeightRow(*record, i, row);
    for (uint64_t j = 0; j < kK; ++j) ASSERT_EQ(row[j], layer.Value(i, j)) << i << ", " << j;
  }
}

// The layer as ascendv1 holds it, read back through the hub.
void ExpectCodes(const std::string& path, const Layer& layer) {
  const auto out = Checkpoint::Open(path);
  ASSERT_TRUE(out.ok());
  const auto record = out->ReadLinear("l");
  ASSERT_TRUE(record.ok()) << record.error().ToString();
  EXPECT_EQ(record->scheme, layer.bits == 8 ? Scheme::kW8A16 : Scheme::kW4A16);
  const int bias = 1 << (layer.bits - 1);
  for (uint64_t i = 0; i < kN * kK; ++i)
    ASSERT_EQ((*record)[Role::kWeight].as<int8_t>()[i], static_cast<int>(layer.codes[i]) - bias);
  for (uint64_t i = 0; i < kN * layer.groups; ++i) {
    ASSERT_EQ(PartAsFloats(*record, Role::kWeightScale)[i], F16ToFloat(layer.scales[i]));
    ASSERT_EQ(PartAsFloats(*record, Role::kWeightOffset)[i],
              static_cast<float>(static_cast<int>(layer.zeros[i]) - bias));
  }
}

std::string GptqConfig(int bits, std::string_view format) {
  return R"({"quant_method": "gptq", "bits": )" + std::to_string(bits) +
         R"(, "group_size": 32, "checkpoint_format": ")" + std::string(format) + "\"}";
}

TEST(Foreign, GptqBothVersionsBothWidths) {
  for (const int bits : {4, 8}) {
    for (const bool v1 : {true, false}) {
      for (const uint64_t groups : {1U, 2U}) {
        const Layer layer(bits, groups, 7);
        const ScratchFolder scratch;
        WriteFolder(scratch.Path("in"), layer.Gptq(v1), GptqConfig(bits, v1 ? "gptq" : "gptq_v2"));
        MustConvert(scratch.Path("in"), scratch.Path("hf"), Dequantize());
        ExpectFloats(scratch.Path("hf"), layer);
        ExpectComputable(scratch.Path("in"), layer);
        ExpectComputable(scratch.Path("in"), layer);
        MustConvert(scratch.Path("in"), scratch.Path("a1"), To(Dialect::kAscendV1));
        ExpectCodes(scratch.Path("a1"), layer);
        if (bits == 4 || !v1) continue;
        // 8 bits come back as they were.
        MustConvert(scratch.Path("a1"), scratch.Path("back"), To(Dialect::kGptq));
        EXPECT_EQ(Slurp(scratch.Path("back/model.safetensors")),
                  Slurp(scratch.Path("in/model.safetensors")));
      }
    }
  }
}

TEST(Foreign, GptqActOrder) {
  Layer layer(4, 4, 3);
  std::shuffle(layer.group.begin(), layer.group.end(), std::mt19937(5));
  const ScratchFolder scratch;
  WriteFolder(scratch.Path("in"), layer.Gptq(true), GptqConfig(4, "gptq"));
  MustConvert(scratch.Path("in"), scratch.Path("hf"), Dequantize());
  ExpectFloats(scratch.Path("hf"), layer);
  ExpectComputable(scratch.Path("in"), layer);
  const auto refused = ConvertTo(scratch.Path("in"), scratch.Path("a1"), To(Dialect::kAscendV1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().rule, "CV-act-order");
  EXPECT_EQ(refused.error().tensor, "l.qweight");
  EXPECT_FALSE(std::filesystem::exists(scratch.Path("a1")));
}

TEST(Foreign, Awq) {
  const Layer layer(4, 2, 11);
  const ScratchFolder scratch;
  WriteFolder(scratch.Path("in"), layer.Awq(),
              R"({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"})");
  MustConvert(scratch.Path("in"), scratch.Path("hf"), Dequantize());
  ExpectFloats(scratch.Path("hf"), layer);
  ExpectComputable(scratch.Path("in"), layer);
  MustConvert(scratch.Path("in"), scratch.Path("a1"), To(Dialect::kAscendV1));
  ExpectCodes(scratch.Path("a1"), layer);
}

TEST(Foreign, CompressedTensorsPacked) {
  for (const int bits : {4, 8}) {
    const Layer layer(bits, 2, 13);
    const ScratchFolder scratch;
    WriteFolder(scratch.Path("in"), layer.Packed(),
                R"({"quant_method": "compressed-tensors", "format": "pack-quantized", )"
                R"("config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": )" +
                    std::to_string(bits) +
                    R"(, "type": "int", "symmetric": false, "strategy": "group"}}}})");
    MustConvert(scratch.Path("in"), scratch.Path("hf"), Dequantize());
    ExpectFloats(scratch.Path("hf"), layer);
    ExpectComputable(scratch.Path("in"), layer);
    MustConvert(scratch.Path("in"), scratch.Path("a1"), To(Dialect::kAscendV1));
    ExpectCodes(scratch.Path("a1"), layer);
  }
}

// 20 × 40 in blocks of 16 × 32: the last row and column of blocks are partial.
std::map<std::string, Tensor> Blocks(std::vector<uint8_t>& bytes, std::vector<float>& scales) {
  std::mt19937 random(17);
  bytes.clear();
  for (int i = 0; i < 20 * 40; ++i) bytes.push_back(static_cast<uint8_t>(random() % 0x7F));
  scales = {0.5F, 0.25F, 0.001F, 3.0F};
  std::map<std::string, Tensor> out;
  out["l.weight"] = Filled(DType::kF8E4M3, {20, 40}, bytes);
  out["l.weight_scale_inv"] = Filled(DType::kF32, {2, 2}, scales);
  return out;
}

constexpr const char* kFp8Config =
    R"({"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", )"
    R"("weight_block_size": [16, 32]})";

TEST(Foreign, Fp8BlocksWithPartialEdges) {
  std::vector<uint8_t> bytes;
  std::vector<float> scales;
  const ScratchFolder scratch;
  WriteFolder(scratch.Path("in"), Blocks(bytes, scales), kFp8Config);
  MustConvert(scratch.Path("in"), scratch.Path("hf"), Dequantize());
  const auto out = Checkpoint::Open(scratch.Path("hf"));
  const auto weight = out->Read("l.weight");
  ASSERT_TRUE(weight.ok());
  for (uint64_t i = 0; i < 20; ++i) {
    for (uint64_t j = 0; j < 40; ++j)
      ASSERT_EQ(weight->as<float>()[i * 40 + j],
                F8E4M3ToFloat(bytes[i * 40 + j]) * scales[i / 16 * 2 + j / 32]);
  }
  const auto shown = Checkpoint::OpenToCompute(scratch.Path("in"));
  ASSERT_TRUE(shown.ok()) << shown.error().ToString();
  const auto same = shown->Read("l.weight");
  ASSERT_TRUE(same.ok());
  EXPECT_EQ(same->dtype, DType::kBF16);
  for (uint64_t i = 0; i < 20 * 40; ++i) {
    EXPECT_EQ(same->as<uint16_t>()[i], FloatToBf16(weight->as<float>()[i]));
  }
}

TEST(Foreign, Fp8RequantizedSaysWhatItCosts) {
  std::vector<uint8_t> bytes;
  std::vector<float> scales;
  const ScratchFolder scratch;
  WriteFolder(scratch.Path("in"), Blocks(bytes, scales), kFp8Config);
  const auto refused = ConvertTo(scratch.Path("in"), scratch.Path("out"), To(Dialect::kAscendV1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().rule, "CV-loss");
  EXPECT_NE(refused.error().message.find("dB"), std::string::npos);
  ConvertOptions options = To(Dialect::kAscendV1);
  options.allow_loss = true;
  const auto plan = ConvertTo(scratch.Path("in"), scratch.Path("out"), options);
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  EXPECT_EQ(plan->loss, LossClass::kRequantized);
  const auto out = Checkpoint::Open(scratch.Path("out"));
  const auto record = out->ReadLinear("l");
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->scheme, Scheme::kW8A8Dynamic);
  const auto tensor = std::ranges::find(plan->tensors, "l.weight", &TensorPlan::name);
  ASSERT_TRUE(tensor->sqnr_db.has_value());
  EXPECT_GT(*tensor->sqnr_db, 30);
}

TEST(Foreign, RefusalsNameTheTensor) {
  const Layer layer(4, 2, 1);
  const auto rule_of = [&](std::map<std::string, Tensor> tensors, const std::string& config) {
    const ScratchFolder scratch;
    WriteFolder(scratch.Path("in"), std::move(tensors), config);
    const auto plan = ConvertTo(scratch.Path("in"), scratch.Path("out"), Dequantize());
    EXPECT_FALSE(std::filesystem::exists(scratch.Path("out")));
    return plan.ok() ? "none" : plan.error().rule + " " + plan.error().tensor;
  };
  auto tensors = layer.Gptq(true);
  tensors.erase("l.qzeros");
  EXPECT_EQ(rule_of(std::move(tensors), GptqConfig(4, "gptq")), "CK-missing-tensor l.qzeros");
  tensors = layer.Gptq(true);
  tensors["l.scales"].shape = {kN, 2};
  EXPECT_EQ(rule_of(std::move(tensors), GptqConfig(4, "gptq")), "LIN-shape l.scales");
  tensors = layer.Gptq(true);
  tensors["l.g_idx"].as<int32_t>()[9] = 2;
  EXPECT_EQ(rule_of(std::move(tensors), GptqConfig(4, "gptq")), "LIN-group-index l.g_idx");
  EXPECT_EQ(rule_of(layer.Gptq(true), GptqConfig(3, "gptq")), "GQ-config ");
  EXPECT_EQ(rule_of(layer.Gptq(true), GptqConfig(4, "marlin")), "GQ-config ");
  std::vector<uint8_t> bytes;
  std::vector<float> scales;
  auto blocks = Blocks(bytes, scales);
  blocks["l.weight"].data.data()[5] = std::byte{0x7F};  // NaN
  EXPECT_EQ(rule_of(std::move(blocks), kFp8Config), "CV-not-finite l.weight");
}

TEST(Foreign, CompressedTensorsOfMsModelSlimGiveAscendV1Back) {
  for (const char* name :
       {"one-click/mini-qwen2-bfloat16/w8a8-static", "one-click/mini-qwen2-bfloat16/w8a8-dynamic",
        "one-click/mini-qwen2-float32/w8a8-smooth-static"}) {
    const ScratchFolder scratch;
    ConvertOptions to_ct = To(Dialect::kCompressedTensors);
    MustConvert(Golden(name), scratch.Path("ct"), to_ct);
    MustConvert(scratch.Path("ct"), scratch.Path("back"), To(Dialect::kAscendV1));
    EXPECT_EQ(Differences(Golden(name), scratch.Path("back")), std::vector<std::string>()) << name;
  }
}

TEST(Foreign, GoldenStickStaticWithTheBiasFoldedIn) {
  const std::string input = Golden("../foreign/golden-stick/mini-qwen2-a8w8-smooth");
  const ScratchFolder scratch;
  const auto plan = ConvertTo(input, scratch.Path("out"), To(Dialect::kAscendV1));
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  EXPECT_EQ(plan->loss, LossClass::kExact);
  const auto source = Checkpoint::OpenForeign(input);
  const auto out = Checkpoint::Open(scratch.Path("out"));
  ASSERT_TRUE(source.ok() && out.ok());
  const std::string module = "model.layers.1.self_attn.q_proj";
  const auto record = out->ReadLinear(module);
  ASSERT_TRUE(record.ok()) << record.error().ToString();
  const auto codes = source->Read(module + ".weight");
  EXPECT_TRUE(std::ranges::equal((*record)[Role::kWeight].data.bytes(), codes->data.bytes()));
  const auto deq = source->Read(module + ".deq_scale");
  const auto bias = source->Read(module + ".bias");
  const auto offset = source->Read(module + ".input_offset");
  const auto scale = source->Read(module + ".input_scale");
  EXPECT_EQ(PartAsFloats(*record, Role::kInputScale)[0],
            static_cast<float>(ElementAsDouble(scale->view(), 7)));
  for (uint64_t i = 0; i < record->n(); ++i) {
    int64_t sum = 0;
    for (uint64_t j = 0; j < record->k(); ++j) sum += codes->as<int8_t>()[i * record->k() + j];
    const double deq_scale = deq->as<float>()[i];
    ASSERT_EQ(PartAsFloats(*record, Role::kDeqScale)[i], deq->as<float>()[i]);
    ASSERT_EQ((*record)[Role::kQuantBias].as<int32_t>()[i],
              std::nearbyint(ElementAsDouble(bias->view(), i) / deq_scale -
                             static_cast<double>(offset->as<int8_t>()[0] * sum)));
  }
  EXPECT_NE(Slurp(scratch.Path("out/slim_receipt.json")).find("off its exact value"),
            std::string::npos);
}

TEST(Foreign, GoldenStickWeightsOnly) {
  const std::string input = Golden("../foreign/golden-stick/mini-qwen3-a16w8");
  const ScratchFolder scratch;
  MustConvert(input, scratch.Path("out"), To(Dialect::kAscendV1));
  const auto source = Checkpoint::OpenForeign(input);
  const auto out = Checkpoint::Open(scratch.Path("out"));
  ASSERT_TRUE(source.ok() && out.ok());
  const auto record = out->ReadLinear("model.layers.0.mlp.down_proj");
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->scheme, Scheme::kW8A16);
  const auto codes = source->Read("model.layers.0.mlp.down_proj.weight");
  EXPECT_TRUE(std::ranges::equal((*record)[Role::kWeight].data.bytes(), codes->data.bytes()));
  MustConvert(input, scratch.Path("hf"), Dequantize());
}

TEST(Foreign, GoldenStickInt4IsTransposed) {
  // Byte [k, n / 2]: the low nibble is the even output.
  const uint8_t bytes[] = {0x21, 0xF8, 0x43, 0x07};  // k = 2, n = 4
  const Tensor codes = UnpackTransposedInt4(bytes, 4, 2);
  const std::vector<int8_t> wanted = {1, 3, 2, 4, -8, 7, -1, 0};
  EXPECT_TRUE(std::ranges::equal(codes.as<int8_t>(), wanted));
}

TEST(Foreign, CellsThatDoNotExistNameTheWay) {
  const Layer layer(8, 1, 1);
  const ScratchFolder scratch;
  WriteFolder(scratch.Path("in"), layer.Gptq(true), GptqConfig(8, "gptq"));
  const auto plan = ConvertTo(scratch.Path("in"), scratch.Path("out"), To(Dialect::kMindIE));
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().rule, "CV-no-edge");
  EXPECT_NE(plan.error().hint.find("to ascendv1, then ascendv1 to"), std::string::npos);
  const auto opened = Checkpoint::Open(scratch.Path("in"));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().rule, "CK-unsupported-dialect");
}

}  // namespace
}  // namespace slim
