#include "run/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <utility>

#include "json/json.h"
#include "kernels/every_isa.h"
#include "os/file.h"
#include "run/generate.h"
#include "run/loaded.h"
#include "run/perplexity.h"
#include "scratch.h"

namespace slim {
namespace {

constexpr const char* kTinyModels[] = {"tiny-llama", "tiny-qwen2", "tiny-qwen3"};

Json ReadJson(const std::string& path) {
  auto text = ReadWholeFile(path);
  EXPECT_TRUE(text.ok());
  auto json = ParseJson(*text);
  EXPECT_TRUE(json.ok());
  return std::move(json).value();
}

std::vector<int32_t> Ids(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& item : list.items()) ids.push_back(static_cast<int32_t>(*item.AsInteger()));
  return ids;
}

std::vector<float> LogitsOf(const Model& model, std::span<const int32_t> ids) {
  Sequence sequence(model.config());
  std::vector<float> logits;
  const Status status = model.Forward(ids, sequence, false, logits);
  EXPECT_TRUE(status.ok()) << status.error().ToString();
  return logits;
}

// Greedy texts that transformers generated (testdata/golden/run/*/generations.json).
void CheckGreedyTexts(const std::string& name, Backend backend) {
  SCOPED_TRACE(name);
  ThreadPool pool(2);
  auto loaded = LoadAll(kModels + name, backend, pool);
  ASSERT_TRUE(loaded.ok()) << loaded.error().ToString();
  const Json generations = ReadJson(kGolden + "run/" + name + "/generations.json");
  for (const Json& wanted : generations.items()) {
    auto prompt = loaded->text.EncodePrompt(*wanted.Find("prompt")->AsString(), "prompt");
    ASSERT_TRUE(prompt.ok());
    EXPECT_EQ(*prompt, Ids(*wanted.Find("ids")));
    GenerationOptions options;
    options.max_new_tokens = 32;
    options.context = 1024;
    options.stop_tokens = loaded->text.stop_tokens();
    Sequence sequence(loaded->model.config());
    auto generated =
        Generate(loaded->model, *prompt, sequence, options, [](int32_t) -> Status { return {}; });
    ASSERT_TRUE(generated.ok()) << generated.error().ToString();
    EXPECT_EQ(generated->token_ids, Ids(*wanted.Find("new_ids")));
    auto text = loaded->text.tokenizer().Decode(generated->token_ids, true);
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(*text, *wanted.Find("text")->AsString());
  }
}

TEST(Model, GreedyTextsAreThoseOfTransformers) {
  for (const char* name : kTinyModels) {
    CheckGreedyTexts(name, Backend::kReference);
    CheckGreedyTexts(name, Backend::kFast);
  }
}

// The largest error of a row's logits on one of transformers' prompts, as a share of the row's
// largest logit; negative where something could not be read.
float WorstLogit(const Model& model, const std::string& name, const char* number) {
  auto golden = Checkpoint::Open(kGolden + "run/" + name + "/logits-" + number + ".safetensors");
  if (!golden.ok()) return -1;
  auto ids = golden->Read("input_ids");
  auto wanted = golden->Read("logits");
  if (!ids.ok() || !wanted.ok()) return -1;
  const std::vector<float> found = LogitsOf(model, ids->as<int32_t>());
  const auto values = wanted->as<float>();
  if (found.size() != values.size()) return -1;
  const uint64_t vocab = wanted->shape[1];
  float worst = 0;
  for (uint64_t row = 0; row < values.size(); row += vocab) {
    float largest = 0;
    float error = 0;
    for (uint64_t i = row; i < row + vocab; ++i) {
      largest = std::max(largest, std::fabs(values[i]));
      error = std::max(error, std::fabs(values[i] - found[i]));
    }
    worst = std::max(worst, error / largest);
  }
  return worst;
}

TEST(Model, LogitsAreWithinAThousandthOfTransformers) {
  ThreadPool pool(2);
  for (const char* name : kTinyModels) {
    for (const Backend backend : {Backend::kReference, Backend::kFast}) {
      auto loaded = LoadAll(kModels + name, backend, pool);
      ASSERT_TRUE(loaded.ok()) << loaded.error().ToString();
      for (const char* number : {"0", "1", "2"}) {
        SCOPED_TRACE(std::string(name) + " " + number);
        const float worst = WorstLogit(loaded->model, name, number);
        EXPECT_GE(worst, 0.0F);
        // The issue asks for 1e-3; float32 sums in another order differ far less.
        EXPECT_LE(worst, 1e-5F);
      }
    }
  }
}

// What torch 2.13 in the model's own dtype differs by from torch in float32 on these prompts, the
// least of the three: 4.49e-3 in bf16 (tiny-qwen2), 7.6e-4 and 6.5e-4 in fp16.
TEST(Model, RoundedInputsCostLessThanTorchInThatDtype) {
  ThreadPool pool(2);
  const std::pair<const char*, float> models[] = {
      {"tiny-qwen2", 4.49e-3F}, {"tiny-llama", 7.6e-4F}, {"tiny-qwen3", 6.5e-4F}};
  for (const auto& [name, bound] : models) {
    for (const Backend backend : {Backend::kReference, Backend::kFast}) {
      auto loaded = LoadAll(kModels + name, backend, pool);
      ASSERT_TRUE(loaded.ok()) << loaded.error().ToString();
      loaded->model.set_float_inputs(FloatInputs::kAsWeight);
      for (const char* number : {"0", "1", "2"}) {
        SCOPED_TRACE(std::string(name) + " " + number);
        const float worst = WorstLogit(loaded->model, name, number);
        EXPECT_GT(worst, 1e-5F) << "nothing was rounded";
        EXPECT_LE(worst, bound);
      }
    }
  }
}

TEST(Model, PerplexityIsThatOfTransformers) {
  ThreadPool pool(2);
  auto text = ReadWholeFile(kGolden + "held-out-text.txt");
  ASSERT_TRUE(text.ok());
  for (const char* name : kTinyModels) {
    SCOPED_TRACE(name);
    auto loaded = LoadAll(kModels + name, Backend::kFast, pool);
    ASSERT_TRUE(loaded.ok());
    auto ids = loaded->text.EncodePlain(*text, "text");
    ASSERT_TRUE(ids.ok());
    const Json golden = ReadJson(kGolden + "run/" + name + "/perplexity.json");
    const PerplexityOptions options{
        static_cast<uint64_t>(*golden.Find("window_tokens")->AsInteger()),
        static_cast<uint64_t>(*golden.Find("windows")->AsInteger())};
    auto found = MeasurePerplexity(loaded->model, *ids, options, pool, {});
    ASSERT_TRUE(found.ok());
    const double wanted = *golden.Find("perplexity")->AsDouble();
    EXPECT_NEAR(found->perplexity, wanted, 1e-5 * wanted);
    EXPECT_EQ(found->windows, 12U);
    EXPECT_EQ(found->scored_tokens, 12U * 255);
  }
}

constexpr const char* kMixedModels[] = {"models/tiny-llama",
                                        "models/tiny-qwen3",
                                        "golden/one-click/mini-qwen2-bfloat16/w8a8-dynamic",
                                        "golden/one-click/mini-qwen2-bfloat16/w8a8-static",
                                        "golden/one-click/mini-qwen2-bfloat16/w8a16",
                                        "golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m4"};

TEST(Model, ReferenceBitsDoNotDependOnThreadsIsaOrChunks) {
  const std::vector<int32_t> ids = {5, 77, 31, 200, 9, 9, 14, 120, 3, 60, 61, 62, 63};
  for (const char* name : kMixedModels) {
    SCOPED_TRACE(name);
    ThreadPool one(1);
    ThreadPool eight(8);
    auto single = LoadAll(std::string(SLIM_TESTDATA "/") + name, Backend::kReference, one);
    auto parallel = LoadAll(std::string(SLIM_TESTDATA "/") + name, Backend::kReference, eight);
    ASSERT_TRUE(single.ok()) << single.error().ToString();
    ASSERT_TRUE(parallel.ok());
    const std::vector<float> wanted = LogitsOf(single->model, ids);
    OnEveryIsa([&] {
      EXPECT_EQ(LogitsOf(single->model, ids), wanted);
      EXPECT_EQ(LogitsOf(parallel->model, ids), wanted);
    });
    Sequence sequence(single->model.config());
    std::vector<float> row;
    std::vector<float> pieces;
    size_t begin = 0;
    for (const size_t length : {4U, 1U, 1U, 5U, 2U}) {
      ASSERT_TRUE(
          single->model.Forward(std::span(ids).subspan(begin, length), sequence, false, row).ok());
      pieces.insert(pieces.end(), row.begin(), row.end());
      begin += length;
    }
    EXPECT_EQ(pieces, wanted);
  }
}

TEST(Model, LastOnlyGivesTheLastRow) {
  ThreadPool pool(2);
  auto loaded = LoadAll(kModels + "tiny-llama", Backend::kReference, pool);
  ASSERT_TRUE(loaded.ok());
  const std::vector<int32_t> ids = {1, 594, 606, 657};
  const std::vector<float> all = LogitsOf(loaded->model, ids);
  Sequence sequence(loaded->model.config());
  std::vector<float> last;
  ASSERT_TRUE(loaded->model.Forward(ids, sequence, true, last).ok());
  EXPECT_EQ(sequence.length(), 4U);
  EXPECT_TRUE(std::equal(last.begin(), last.end(), all.end() - static_cast<long>(last.size())));
  // After Truncate the same tokens give the same bits again.
  sequence.Truncate(2);
  std::vector<float> again;
  ASSERT_TRUE(loaded->model.Forward(std::span(ids).subspan(2), sequence, true, again).ok());
  EXPECT_EQ(again, last);
}

TEST(Model, BlockByBlockIsTheSameAsTheWhole) {
  const std::vector<int32_t> ids = {1, 594, 606, 657, 1500};
  ThreadPool pool(2);
  for (const char* name : kTinyModels) {
    SCOPED_TRACE(name);
    auto loaded = LoadAll(kModels + name, Backend::kReference, pool);
    ASSERT_TRUE(loaded.ok());
    const ModelConfig& config = loaded->model.config();
    std::vector<float> hidden(ids.size() * config.hidden_size);
    ASSERT_TRUE(EmbedTokens(loaded->checkpoint, config, ids, hidden.data()).ok());
    const RopeTable rope(config, ids.size());
    std::vector<std::string> tapped;
    BlockOptions options;
    options.tap = [&](std::string_view module, const float*, uint64_t t, uint64_t) {
      EXPECT_EQ(t, ids.size());
      tapped.emplace_back(module);
    };
    for (uint64_t layer = 0; layer < config.num_layers; ++layer) {
      auto block = DecoderBlock::Load(loaded->checkpoint, config, layer, Backend::kReference);
      ASSERT_TRUE(block.ok());
      KvCacheLayer cache(config);
      ASSERT_TRUE(block->Forward(hidden.data(), ids.size(), 0, rope, cache, options, pool).ok());
      EXPECT_EQ(cache.length(), ids.size());
    }
    auto head = OutputHead::Load(loaded->checkpoint, config, Backend::kReference);
    ASSERT_TRUE(head.ok());
    std::vector<float> logits(ids.size() * config.vocab_size);
    head->Logits(hidden.data(), ids.size(), logits.data(), options, pool);
    EXPECT_EQ(logits, LogitsOf(loaded->model, ids));
    EXPECT_EQ(tapped.size(), config.num_layers * 7 + 1);
    EXPECT_EQ(tapped.front(), "model.layers.0.self_attn.q_proj");
    EXPECT_EQ(tapped.back(), "lm_head");
  }
}

TEST(Model, ANormBiasOfAnAntiOutlierCheckpointIsAdded) {
  auto checkpoint = Checkpoint::Open(kGolden + "traditional/mini-qwen2-bfloat16/m0-w8a8-m4");
  ASSERT_TRUE(checkpoint.ok());
  const std::string name = "model.layers.0.input_layernorm";
  if (checkpoint->Find(name + ".bias") == nullptr) GTEST_SKIP() << "the golden has no norm bias";
  auto norm = Norm::Load(*checkpoint, name, 64);
  ASSERT_TRUE(norm.ok()) << norm.error().ToString();
  ThreadPool pool(1);
  std::vector<float> x(64, 0.0F);
  norm->Apply(x.data(), 1, 1e-6F, x.data(), pool);
  EXPECT_EQ(x, norm->bias);
}

TEST(Model, NamesTheFirstBlockThatIsNotFinite) {
  Scratch scratch;
  const std::string path = scratch / "model";
  std::filesystem::copy(kModels + "tiny-llama", path);
  auto checkpoint = Checkpoint::Open(path);
  ASSERT_TRUE(checkpoint.ok());
  const TensorEntry* entry = checkpoint->Find("model.layers.1.mlp.down_proj.weight");
  ASSERT_NE(entry, nullptr);
  std::fstream file(path + "/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<long>(entry->offset));
  const uint16_t nan = 0x7E00;
  file.write(reinterpret_cast<const char*>(&nan), sizeof(nan));
  file.close();
  ThreadPool pool(1);
  auto loaded = LoadAll(path, Backend::kReference, pool);
  ASSERT_TRUE(loaded.ok()) << loaded.error().ToString();
  Sequence sequence(loaded->model.config());
  std::vector<float> logits;
  const Status status = loaded->model.Forward(std::vector<int32_t>{1, 594}, sequence, true, logits);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().rule, "RUN-not-finite");
  EXPECT_NE(status.error().message.find("'model.layers.1'"), std::string::npos);
}

TEST(Model, RefusesTokensOutsideTheEmbedding) {
  ThreadPool pool(1);
  auto loaded = LoadAll(kModels + "tiny-llama", Backend::kReference, pool);
  ASSERT_TRUE(loaded.ok());
  Sequence sequence(loaded->model.config());
  std::vector<float> logits;
  const Status status =
      loaded->model.Forward(std::vector<int32_t>{1, 2048}, sequence, true, logits);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().rule, "RUN-token-range");
}

TEST(TextModel, ChatPromptsAreThoseOfTransformers) {
  ThreadPool pool(1);
  for (const char* name : kTinyModels) {
    SCOPED_TRACE(name);
    auto checkpoint = Checkpoint::Open(kModels + name);
    ASSERT_TRUE(checkpoint.ok());
    auto config = ReadModelConfig(*checkpoint);
    ASSERT_TRUE(config.ok());
    auto text = TextModel::Load(*checkpoint, *config);
    ASSERT_TRUE(text.ok()) << text.error().ToString();
    const Json chats = ReadJson(kGolden + "run/" + name + "/chats.json");
    for (const Json& chat : chats.items()) {
      auto found = text->ChatText(*chat.Find("messages"));
      ASSERT_TRUE(found.ok()) << found.error().ToString();
      EXPECT_EQ(*found, *chat.Find("prompt")->AsString());
    }
  }
}

}  // namespace
}  // namespace slim
