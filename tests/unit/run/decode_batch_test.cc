// Several sequences decoded together get, bit for bit, what each gets alone.
#include <gtest/gtest.h>

#include <algorithm>

#include "run/loaded.h"
#include "run/model.h"
#include "run/sampler.h"

namespace slim {
namespace {

const std::vector<std::vector<int32_t>> kPrompts = {
    {5}, {9, 9, 14, 120, 3, 60}, {1, 2}, {31, 200, 77}};
constexpr int kSteps = 4;

std::vector<float> Row(const std::vector<float>& logits, size_t row, size_t width) {
  const auto begin = logits.begin() + static_cast<long>(row * width);
  return {begin, begin + static_cast<long>(width)};
}

// The logits of the prompt's end and of each step, greedily.
std::vector<std::vector<float>> Alone(const Model& model, std::span<const int32_t> prompt) {
  std::vector<std::vector<float>> rows(1);
  Sequence sequence(model.config());
  EXPECT_TRUE(model.Forward(prompt, sequence, true, rows[0]).ok());
  for (int step = 0; step < kSteps; ++step) {
    const int32_t next = ArgMax(rows.back());
    EXPECT_TRUE(model.Forward({&next, 1}, sequence, true, rows.emplace_back()).ok());
  }
  return rows;
}

void CheckTogether(const std::string& path, Backend backend, BlockStorage storage) {
  SCOPED_TRACE(path);
  ThreadPool pool(2);
  auto checkpoint = Checkpoint::Open(path);
  ASSERT_TRUE(checkpoint.ok());
  auto model = Model::Load(*checkpoint, backend, pool, SilentListener(), storage);
  ASSERT_TRUE(model.ok()) << model.error().ToString();
  const uint64_t vocabulary = model->config().vocab_size;
  std::vector<std::vector<std::vector<float>>> wanted;
  std::vector<Sequence> sequences;
  DecodeBatch batch;
  for (const auto& prompt : kPrompts) {
    wanted.push_back(Alone(*model, prompt));
    std::vector<float> logits;
    ASSERT_TRUE(
        model->Prefill(prompt, sequences.emplace_back(model->config()), LogitRows::kLast, logits)
            .ok());
    EXPECT_EQ(logits, wanted.back()[0]);
    batch.tokens.push_back(ArgMax(logits));
  }
  for (Sequence& sequence : sequences) batch.sequences.push_back(&sequence);
  for (int step = 1; step <= kSteps; ++step) {
    const Status status = model->Decode(batch);
    ASSERT_TRUE(status.ok()) << status.error().ToString();
    for (size_t i = 0; i < kPrompts.size(); ++i) {
      EXPECT_TRUE(batch.statuses[i].ok());
      const std::vector<float> row = Row(batch.logits, i, vocabulary);
      EXPECT_EQ(row, wanted[i][static_cast<size_t>(step)]) << "prompt " << i << " step " << step;
      batch.tokens[i] = ArgMax(row);
    }
  }
}

TEST(DecodeBatch, SequencesGetTheBitsTheyGetAlone) {
  for (const char* name : {"golden/one-click/mini-qwen2-bfloat16/w8a8-static",
                           "golden/one-click/mini-qwen2-bfloat16/w8a8-dynamic", "models/tiny-llama",
                           "mixtures/qwen3-moe", "mixtures/deepseek-v2"}) {
    for (const Backend backend : {Backend::kReference, Backend::kFast})
      CheckTogether(std::string(SLIM_TESTDATA "/") + name, backend, BlockStorage::kResident);
  }
  CheckTogether(SLIM_TESTDATA "/mixtures/deepseek-v3", Backend::kReference,
                BlockStorage::kStreamed);
}

TEST(DecodeBatch, APromptInPartsIsPrefillToTheEnd) {
  ThreadPool pool(2);
  auto loaded = LoadAll(kModels + "tiny-llama", Backend::kFast, pool);
  ASSERT_TRUE(loaded.ok());
  std::vector<int32_t> prompt(Model::kPromptPart + 1);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<int32_t>(7 * i % 1000);
  std::vector<float> whole;
  Sequence sequence(loaded->model.config());
  ASSERT_TRUE(loaded->model.Forward(prompt, sequence, true, whole).ok());
  Sequence parts(loaded->model.config());
  parts.Expect(prompt.size());
  std::vector<float> logits;
  const auto span = std::span<const int32_t>(prompt);
  ASSERT_TRUE(
      loaded->model.Prefill(span.first(Model::kPromptPart), parts, LogitRows::kNone, logits).ok());
  EXPECT_TRUE(logits.empty());
  ASSERT_TRUE(loaded->model.Prefill(span.last(1), parts, LogitRows::kLast, logits).ok());
  EXPECT_EQ(logits, whole);
}

}  // namespace
}  // namespace slim
