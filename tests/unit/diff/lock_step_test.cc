#include "diff/lock_step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace slim {
namespace {

constexpr uint64_t kVocabulary = 7;

// Logits that depend on the window, the position and the token.
class MadeUpLogits : public LogitSource {
 public:
  explicit MadeUpLogits(float scale) : scale_(scale) {}

  uint64_t vocabulary() const override { return kVocabulary; }
  void BeginWindow() override {
    ++window_;
    position_ = 0;
  }
  Result<std::span<const float>> Next(std::span<const int32_t> tokens) override {
    logits_.clear();
    for (const int32_t token : tokens) {
      ++position_;
      if (window_ == error_window_) return InputError(error_rule_, "made up");
      for (uint64_t i = 0; i < kVocabulary; ++i) {
        const auto value = static_cast<float>(token * 31 + static_cast<int>(i * i) + position_);
        logits_.push_back(scale_ * std::sin(value));
      }
      if (window_ == bad_window_ && position_ == bad_position_) logits_.back() = bad_value_;
    }
    return std::span<const float>(logits_);
  }

  void Spoil(int window, int position, float value) {
    bad_window_ = window;
    bad_position_ = position;
    bad_value_ = value;
  }
  void Fail(int window, std::string rule) {
    error_window_ = window;
    error_rule_ = std::move(rule);
  }

 private:
  float scale_;
  int window_ = 0;
  int position_ = 0;
  int bad_window_ = 0;
  int bad_position_ = 0;
  float bad_value_ = 0;
  int error_window_ = 0;
  std::string error_rule_;
  std::vector<float> logits_;
};

// Three windows, the first longer than a piece.
std::vector<std::vector<int32_t>> Windows() {
  std::vector<std::vector<int32_t>> windows(3);
  for (int i = 0; i < 300; ++i) windows[0].push_back(i * 5 % 7);
  windows[1] = {1, 2, 3};
  windows[2] = {6, 0};
  return windows;
}

struct Compared {
  LogitSummary summary;
  std::optional<NonFinite> non_finite;
};

Result<Compared> Compare(LogitSource& first, LogitSource& second, int threads = 1) {
  ThreadPool pool(threads);
  const auto windows = Windows();
  LogitComparison comparison(kVocabulary, 1, pool);
  LogitSource* const others[] = {&second};
  SLIM_TRY(comparison.Add(first, others, windows, windows.size(), SilentListener()));
  Compared result;
  result.non_finite = comparison.non_finite();
  if (!result.non_finite) result.summary = comparison.statistics().Summarize();
  return result;
}

TEST(LogitComparison, TheSameIsTheSame) {
  MadeUpLogits first(2);
  MadeUpLogits second(2);
  const auto result = Compare(first, second);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->summary.windows, 3);
  EXPECT_EQ(result->summary.positions, 305);
  EXPECT_EQ(result->summary.scored_tokens, 302);
  EXPECT_EQ(result->summary.kl.mean, 0);
  EXPECT_EQ(result->summary.kl_max, 0);
  EXPECT_EQ(result->summary.top1.mean, 1);
  EXPECT_EQ(result->summary.cosine_min, 1);
  EXPECT_EQ(result->summary.rmse.mean, 0);
  EXPECT_EQ(result->summary.perplexity_ratio.mean, 1);
  EXPECT_FALSE(result->non_finite.has_value());
}

// Position by position, without pieces and threads.
TEST(LogitComparison, EqualsTheStatisticsOfItsPositions) {
  MadeUpLogits first(2);
  MadeUpLogits second(2.5F);
  LogitStatistics statistics(kVocabulary);
  for (const auto& window : Windows()) {
    statistics.BeginWindow();
    first.BeginWindow();
    second.BeginWindow();
    for (size_t i = 0; i < window.size(); ++i) {
      const auto a = first.Next(std::span(window).subspan(i, 1));
      const auto b = second.Next(std::span(window).subspan(i, 1));
      std::optional<int32_t> target;
      if (i + 1 < window.size()) target = window[i + 1];
      statistics.Add(ComparePosition(a->data(), b->data(), kVocabulary, target),
                     target.has_value());
    }
  }
  const LogitSummary wanted = statistics.Summarize();
  for (const int threads : {1, 3}) {
    MadeUpLogits again_first(2);
    MadeUpLogits again_second(2.5F);
    const auto result = Compare(again_first, again_second, threads);
    ASSERT_TRUE(result.ok());
    EXPECT_GT(result->summary.kl.mean, 0);
    EXPECT_EQ(result->summary.kl.mean, wanted.kl.mean);
    EXPECT_EQ(result->summary.kl.standard_error, wanted.kl.standard_error);
    EXPECT_EQ(result->summary.rmse.mean, wanted.rmse.mean);
    EXPECT_EQ(result->summary.second_perplexity.mean, wanted.second_perplexity.mean);
    EXPECT_EQ(result->summary.kl_max_place.window, wanted.kl_max_place.window);
    EXPECT_EQ(result->summary.kl_max_place.position, wanted.kl_max_place.position);
  }
}

TEST(LogitComparison, NanAndInfinityOfEitherAreFound) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    for (const Side side : {Side::kFirst, Side::kSecond}) {
      MadeUpLogits first(2);
      MadeUpLogits second(2);
      (side == Side::kFirst ? first : second).Spoil(2, 3, bad);
      const auto result = Compare(first, second);
      ASSERT_TRUE(result.ok());
      ASSERT_TRUE(result->non_finite.has_value()) << bad;
      EXPECT_EQ(result->non_finite->side, side);
      EXPECT_EQ(result->non_finite->where, "window 2");
    }
  }
}

// Both NaN at the same place are not equal either.
TEST(LogitComparison, TwoNansAreNotTheSame) {
  MadeUpLogits first(2);
  MadeUpLogits second(2);
  first.Spoil(1, 200, std::numeric_limits<float>::quiet_NaN());
  second.Spoil(1, 200, std::numeric_limits<float>::quiet_NaN());
  const auto result = Compare(first, second);
  ASSERT_TRUE(result.ok());
  ASSERT_TRUE(result->non_finite.has_value());
  EXPECT_EQ(result->non_finite->where, "window 1");
}

TEST(LogitComparison, ASourceMayReportThatItsLogitsAreNotFinite) {
  MadeUpLogits first(2);
  MadeUpLogits second(2);
  second.Fail(3, "RUN-not-finite");
  const auto result = Compare(first, second);
  ASSERT_TRUE(result.ok());
  ASSERT_TRUE(result->non_finite.has_value());
  EXPECT_EQ(result->non_finite->side, Side::kSecond);
  EXPECT_EQ(result->non_finite->where, "window 3");
  EXPECT_EQ(result->non_finite->detail, "made up");
}

TEST(LogitComparison, OtherErrorsAreErrors) {
  MadeUpLogits first(2);
  MadeUpLogits second(2);
  first.Fail(1, "RUN-token-range");
  const auto result = Compare(first, second);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().rule, "RUN-token-range");
}

}  // namespace
}  // namespace slim
