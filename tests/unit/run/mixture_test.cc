#include "run/mixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/every_isa.h"
#include "model/modules.h"
#include "run/generate.h"
#include "run/loaded.h"

namespace slim {
namespace {

// Random checkpoints and what transformers says of them: testdata/mixtures/make.py.
constexpr const char* kMixtures[] = {"qwen2-moe", "qwen3-moe", "deepseek-v2", "deepseek-v3",
                                     "qwen2.5-vl"};
const std::string kFolder = SLIM_TESTDATA "/mixtures/";

struct Opened {
  Checkpoint checkpoint;
  ModelConfig config;
};

Opened OpenMixture(const std::string& name) {
  auto checkpoint = Checkpoint::Open(kFolder + name);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
  auto config = ReadModelConfig(*checkpoint);
  EXPECT_TRUE(config.ok()) << config.error().ToString();
  return {std::move(*checkpoint), std::move(*config)};
}

struct Golden {
  std::vector<int32_t> ids;
  std::vector<float> logits;
};

Golden ReadGolden(const std::string& name) {
  auto file = Checkpoint::Open(kFolder + name + ".logits.safetensors");
  EXPECT_TRUE(file.ok()) << file.error().ToString();
  const auto ids = file->Read("input_ids");
  const auto logits = file->Read("logits");
  EXPECT_TRUE(ids.ok() && logits.ok());
  const auto id_values = ids->as<int32_t>();
  const auto logit_values = logits->as<float>();
  return {{id_values.begin(), id_values.end()}, {logit_values.begin(), logit_values.end()}};
}

std::vector<float> LogitsOf(const Model& model, std::span<const int32_t> ids) {
  Sequence sequence(model.config());
  std::vector<float> logits;
  const Status status = model.Forward(ids, sequence, false, logits);
  EXPECT_TRUE(status.ok()) << status.error().ToString();
  return logits;
}

Result<Model> LoadModel(const Checkpoint& checkpoint, Backend backend, ThreadPool& pool) {
  return Model::Load(checkpoint, backend, pool, SilentListener());
}

TEST(Mixture, LogitsAreThoseOfTransformers) {
  ThreadPool pool(2);
  for (const char* name : kMixtures) {
    const Opened opened = OpenMixture(name);
    const Golden golden = ReadGolden(name);
    const uint64_t vocab = opened.config.vocab_size;
    for (const Backend backend : {Backend::kReference, Backend::kFast}) {
      SCOPED_TRACE(name);
      auto model = LoadModel(opened.checkpoint, backend, pool);
      ASSERT_TRUE(model.ok()) << model.error().ToString();
      const std::vector<float> found = LogitsOf(*model, golden.ids);
      ASSERT_EQ(found.size(), golden.logits.size());
      for (size_t row = 0; row < golden.ids.size(); ++row) {
        float largest = 0;
        float worst = 0;
        for (uint64_t i = row * vocab; i < (row + 1) * vocab; ++i) {
          largest = std::max(largest, std::fabs(golden.logits[i]));
          worst = std::max(worst, std::fabs(golden.logits[i] - found[i]));
        }
        // The issue asks for 1e-3; float32 sums in another order differ far less.
        EXPECT_LE(worst, 2e-5F * largest) << row;
      }
    }
  }
}

TEST(Mixture, GreedyTokensAreThoseOfTransformers) {
  ThreadPool pool(2);
  for (const char* name : kMixtures) {
    SCOPED_TRACE(name);
    const Opened opened = OpenMixture(name);
    auto model = LoadModel(opened.checkpoint, Backend::kReference, pool);
    ASSERT_TRUE(model.ok());
    const auto text = ReadWholeFile(kFolder + name + ".generations.json");
    ASSERT_TRUE(text.ok());
    const Json generations = ParseJson(*text).value();
    for (const Json& wanted : generations.items()) {
      const auto ids = [&](const char* key) {
        std::vector<int32_t> list;
        for (const Json& item : wanted.Find(key)->items())
          list.push_back(static_cast<int32_t>(*item.AsInteger()));
        return list;
      };
      GenerationOptions options;
      options.max_new_tokens = 24;
      options.context = 128;
      Sequence sequence(opened.config);
      auto generated =
          Generate(*model, ids("ids"), sequence, options, [](int32_t) -> Status { return {}; });
      ASSERT_TRUE(generated.ok());
      EXPECT_EQ(generated->token_ids, ids("new_ids"));
    }
  }
}

TEST(Mixture, ReferenceBitsDependOnNeitherThreadsNorCutsNorInstructions) {
  for (const char* name : {"qwen3-moe", "deepseek-v3"}) {
    SCOPED_TRACE(name);
    const Opened opened = OpenMixture(name);
    const std::vector<int32_t> ids = ReadGolden(name).ids;
    ThreadPool one(1);
    auto single = LoadModel(opened.checkpoint, Backend::kReference, one);
    ASSERT_TRUE(single.ok());
    const std::vector<float> wanted = LogitsOf(*single, ids);
    ThreadPool three(3);
    auto many = LoadModel(opened.checkpoint, Backend::kReference, three);
    ASSERT_TRUE(many.ok());
    EXPECT_EQ(LogitsOf(*many, ids), wanted);
    Sequence sequence(opened.config);
    std::vector<float> row;
    std::vector<float> pieces;
    for (size_t begin = 0; begin < ids.size(); begin += 7) {
      const size_t length = std::min<size_t>(7, ids.size() - begin);
      ASSERT_TRUE(
          single->Forward(std::span(ids).subspan(begin, length), sequence, false, row).ok());
      pieces.insert(pieces.end(), row.begin(), row.end());
    }
    EXPECT_EQ(pieces, wanted);
    OnEveryIsa([&] { EXPECT_EQ(LogitsOf(*single, ids), wanted); });
  }
}

TEST(Mixture, StreamedExpertsGiveTheSameBits) {
  ThreadPool pool(2);
  const Opened opened = OpenMixture("deepseek-v2");
  auto resident = DecoderBlock::Load(opened.checkpoint, opened.config, 1, Backend::kReference);
  auto streamed = DecoderBlock::Load(opened.checkpoint, opened.config, 1, Backend::kReference,
                                     ExpertStorage::kStreamed);
  ASSERT_TRUE(resident.ok() && streamed.ok());
  EXPECT_TRUE(streamed->has_experts());
  EXPECT_LT(streamed->bytes(), resident->bytes());
  std::vector<float> first(9 * opened.config.hidden_size);
  for (size_t i = 0; i < first.size(); ++i) first[i] = static_cast<float>(i % 23) / 7.0F - 1.5F;
  std::vector<float> second = first;
  ASSERT_TRUE(resident->ForwardMlp(first.data(), 9, {}, pool).ok());
  ASSERT_TRUE(streamed->ForwardMlp(second.data(), 9, {}, pool).ok());
  EXPECT_EQ(first, second);
}

TEST(Mixture, TapsSeeTheTokensOfEachExpert) {
  ThreadPool pool(1);
  const Opened opened = OpenMixture("qwen3-moe");
  auto block = DecoderBlock::Load(opened.checkpoint, opened.config, 0, Backend::kReference);
  ASSERT_TRUE(block.ok());
  constexpr uint64_t kTokens = 6;
  std::vector<float> hidden(kTokens * opened.config.hidden_size);
  for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = static_cast<float>(i % 31) / 9.0F - 1.5F;
  std::map<std::string, uint64_t> rows;
  Routing routing;
  BlockOptions options;
  options.tap = [&](std::string_view name, const float*, uint64_t t, uint64_t) {
    rows[std::string(name)] += t;
  };
  options.routing_tap = [&](uint64_t layer, const Routing& chosen) {
    EXPECT_EQ(layer, 0U);
    routing = chosen;
  };
  ASSERT_TRUE(block->ForwardMlp(hidden.data(), kTokens, options, pool).ok());
  EXPECT_EQ(rows["model.layers.0.mlp.gate"], kTokens);
  std::map<std::string, uint64_t> wanted = {{"model.layers.0.mlp.gate", kTokens}};
  for (const uint32_t expert : routing.experts) {
    for (const char* linear : {"gate_proj", "up_proj", "down_proj"})
      ++wanted[ExpertPrefix(opened.config, 0, expert) + "." + linear];
  }
  EXPECT_EQ(rows, wanted);
}

TEST(Mixture, ModelsWithoutAMixtureHaveNoSuchBlocks) {
  const Opened opened = OpenMixture("qwen3-moe");
  EXPECT_TRUE(opened.config.IsMoeLayer(0));
  EXPECT_FALSE(opened.config.IsMoeLayer(1));  // mlp_only_layers
  EXPECT_TRUE(opened.config.IsMoeLayer(2));
}

}  // namespace
}  // namespace slim
