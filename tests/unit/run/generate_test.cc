#include "run/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "run/loaded.h"
#include "run/logits_file.h"
#include "run/perplexity.h"
#include "scratch.h"

namespace slim {
namespace {

TEST(Generate, RefusesAPromptThatDoesNotFitAndTruncatesOnRequest) {
  ThreadPool pool(1);
  auto loaded = LoadAll(kModels + "tiny-llama", Backend::kReference, pool);
  ASSERT_TRUE(loaded.ok());
  const std::vector<int32_t> prompt(12, 594);
  GenerationOptions options;
  options.context = 8;
  options.max_new_tokens = 3;
  Sequence sequence(loaded->model.config());
  const auto nothing = [](int32_t) -> Status { return {}; };
  auto generated = Generate(loaded->model, prompt, sequence, options, nothing);
  ASSERT_FALSE(generated.ok());
  EXPECT_EQ(generated.error().rule, "RUN-context");
  EXPECT_EQ(generated.error().message, "the prompt has 12 tokens, the context 8 positions");
  const auto cut = TruncatePrompt(prompt, options);
  EXPECT_EQ(cut.size(), 5U);
  generated = Generate(loaded->model, cut, sequence, options, nothing);
  ASSERT_TRUE(generated.ok());
  EXPECT_EQ(generated->token_ids.size(), 3U);
  EXPECT_EQ(generated->finish_reason, FinishReason::kLength);
}

TEST(Generate, EndsWhereTheContextEnds) {
  ThreadPool pool(1);
  auto loaded = LoadAll(kModels + "tiny-llama", Backend::kReference, pool);
  ASSERT_TRUE(loaded.ok());
  GenerationOptions options;
  options.context = 8;
  options.max_new_tokens = 100;
  options.keep_logits = true;
  Sequence sequence(loaded->model.config());
  const std::vector<int32_t> prompt = {1, 594, 606, 657, 579};
  auto generated =
      Generate(loaded->model, prompt, sequence, options, [](int32_t) -> Status { return {}; });
  ASSERT_TRUE(generated.ok());
  // Positions 5 to 7 are taken by new tokens; the last token of all needs no position.
  EXPECT_EQ(generated->token_ids.size(), 4U);
  EXPECT_EQ(generated->evaluated_ids.size(), 8U);
  EXPECT_EQ(generated->logits.size(), 8 * loaded->model.config().vocab_size);
}

TEST(Generate, AnErrorOfTheCallbackEndsIt) {
  ThreadPool pool(1);
  auto loaded = LoadAll(kModels + "tiny-llama", Backend::kReference, pool);
  ASSERT_TRUE(loaded.ok());
  GenerationOptions options;
  options.context = 100;
  Sequence sequence(loaded->model.config());
  int calls = 0;
  const auto generated = Generate(loaded->model, std::vector<int32_t>{1, 594}, sequence, options,
                                  [&](int32_t) -> Status {
                                    ++calls;
                                    return InternalError("stop");
                                  });
  EXPECT_FALSE(generated.ok());
  EXPECT_EQ(calls, 1);
}

TEST(Perplexity, WindowsAreWholeAndDoNotOverlap) {
  const std::vector<int32_t> ids = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  auto windows = CutWindows(ids, {.window = 4});
  ASSERT_TRUE(windows.ok());
  ASSERT_EQ(windows->size(), 2U);
  EXPECT_EQ((*windows)[1].front(), 4);
  EXPECT_EQ(CutWindows(ids, {.window = 4, .max_windows = 1})->size(), 1U);
  const auto none = CutWindows(ids, {.window = 12});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().rule, "RUN-short-text");
}

TEST(Perplexity, LikelihoodsAreThoseOfTheSoftmax) {
  ThreadPool pool(1);
  const std::vector<float> logits = {0, std::log(3.0F), 0, 0, 1000, 0};
  const auto nll = NegativeLogLikelihoods(logits.data(), 3, std::vector<int32_t>{1, 0}, pool);
  EXPECT_NEAR(nll[0], std::log(5.0 / 3.0), 1e-7);
  EXPECT_NEAR(nll[1], 1000.0, 1e-9);
  const Perplexity summary = SummarizeLikelihoods(std::vector<double>{1, 2, 3}, 1);
  EXPECT_DOUBLE_EQ(summary.mean_nll, 2.0);
  EXPECT_NEAR(summary.perplexity, std::exp(2.0), 1e-12);
  EXPECT_NEAR(summary.standard_error, 1 / std::sqrt(3.0), 1e-12);
}

TEST(LogitsFile, ReadsBackAsASafetensorsFile) {
  Scratch scratch;
  const std::vector<int32_t> ids = {3, 1, 2};
  const std::vector<float> logits = {0.5F, 1.5F, -2, 3, 4, 5};
  auto bytes = EncodeLogitsFile(ids, logits);
  ASSERT_TRUE(bytes.ok());
  const std::string path = scratch.Write("logits.safetensors", *bytes);
  auto file = Checkpoint::Open(path);
  ASSERT_TRUE(file.ok()) << file.error().ToString();
  auto read_ids = file->Read("input_ids");
  auto read_logits = file->Read("logits");
  ASSERT_TRUE(read_ids.ok() && read_logits.ok());
  EXPECT_EQ(read_logits->shape, (Shape{3, 2}));
  EXPECT_TRUE(std::equal(ids.begin(), ids.end(), read_ids->as<int32_t>().begin()));
  EXPECT_TRUE(std::equal(logits.begin(), logits.end(), read_logits->as<float>().begin()));
}

}  // namespace
}  // namespace slim
