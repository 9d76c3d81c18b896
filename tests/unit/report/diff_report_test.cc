#include "report/diff_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace slim {
namespace {

using testing::HasSubstr;
using testing::Not;

const ThresholdKind& FindKind(std::string_view flag) {
  for (const ThresholdKind& kind : ThresholdKinds()) {
    if (kind.flag == flag) return kind;
  }
  ADD_FAILURE() << "no threshold " << flag;
  return ThresholdKinds().front();
}

DiffResult Sample() {
  DiffResult result;
  result.first = {"float", "hf", {"FLOAT"}};
  result.second = {"quantized", "ascendv1", {"W8A8", "FLOAT"}};
  result.prompts = "text.txt";
  result.window_tokens = 256;
  LogitSummary& summary = result.summary;
  summary.windows = 2;
  summary.positions = 400;
  summary.scored_tokens = 398;
  summary.kl = {0.0123456789, 0.00045};
  summary.kl_median = {0.01, 0.001};
  summary.kl_p95 = {0.05, 0.004};
  summary.kl_p99 = {0.2, 0.03};
  summary.kl_max = 0.75;
  summary.kl_max_place = {2, 17};
  summary.delta_p = {
      {-0.001, 0.0002}, {0.03, 0.001}, {-0.5, -0.2, -0.1, -0.01, 0, 0.01, 0.1, 0.2, 0.5}};
  summary.top1 = {0.975, 0.0078};
  summary.flips = 10;
  summary.top5 = {0.995, 0.0035};
  summary.cosine = {0.9995, 0.0001};
  summary.cosine_min = 0.91;
  summary.rmse = {0.25, 0.002};
  summary.first_perplexity = {12.5, 0.4};
  summary.second_perplexity = {12.75, 0.41};
  summary.perplexity_ratio = {1.02, 0.003};
  result.greedy = {{16, 32, 32, "same", "same", std::nullopt}, {16, 32, 20, "one", "two", 7}};
  result.thresholds = {{&FindKind("max-kl"), 0.01, 0.0123456789, false},
                       {&FindKind("min-top1"), 0.9, 0.975, true}};
  return result;
}

TEST(DiffReportText, ShowsEveryMetricAndLimit) {
  EXPECT_EQ(
      DiffReportText(Sample(), AllMetrics()),
      "first              float (hf, FLOAT)\n"
      "second             quantized (ascendv1, W8A8, FLOAT)\n"
      "prompts            text.txt: 2 windows of at most 256 tokens, 400 positions\n"
      "KL divergence      mean 0.0123457 ± 0.00045, median 0.01 ± 0.001\n"
      "                   p95 0.05 ± 0.004, p99 0.2 ± 0.03, max 0.75 (window 2, position 17)\n"
      "Δp of next token   mean -0.001 ± 0.0002, RMS 0.03 ± 0.001\n"
      "                   min -0.5, p1 -0.2, p5 -0.1, p25 -0.01, median 0, p75 0.01, p95 0.1, "
      "p99 0.2, max 0.5\n"
      "top-1 agreement    0.975 ± 0.0078, 10 of 400 first choices differ\n"
      "top-5 agreement    0.995 ± 0.0035\n"
      "cosine of logits   mean 0.9995 ± 0.0001, min 0.91\n"
      "RMSE of logits     0.25 ± 0.002\n"
      "perplexity         first 12.5 ± 0.4, second 12.75 ± 0.41, ratio 1.02 ± 0.003\n"
      "greedy text        prompt 1: 32 new tokens, all the same\n"
      "                   prompt 2: differs from new token 7 of 32 on\n"
      "not met            --max-kl: mean KL divergence 0.0123457 > 0.01\n"
      "met                --min-top1: top-1 agreement 0.975 >= 0.9\n"
      "try, slim-quant    recipes that were tuned for a model: --list-presets shows them, --preset "
      "NAME\n"
      "                   smooth outlier channels: --smooth flex, or iter with another --alpha\n"
      "                   one activation range a token instead of one a layer: --type "
      "w8a8_dynamic\n"
      "                   calibrate on 10 to 50 samples of what the model is for: --calib FILE\n"
      "                   keep the layers that cost most in float: --auto-fallback --budget kl=X "
      "finds them; or slim-quant analyze, slim-diff --layers, and --disable-names\n");
  EXPECT_EQ(DiffVerdict(Sample()), "limit not met: mean KL divergence 0.0123457 > 0.01");
}

TEST(DiffReportText, ShowsOnlyWhatWasAskedFor) {
  const Metric metrics[] = {Metric::kRmse};
  const std::string text = DiffReportText(Sample(), metrics);
  EXPECT_THAT(text, HasSubstr("RMSE"));
  EXPECT_THAT(text, Not(HasSubstr("KL divergence   ")));
  EXPECT_THAT(text, Not(HasSubstr("greedy")));
}

TEST(DiffReportText, EscapesNames) {
  DiffResult result = Sample();
  result.second.path = "a\nb\x1B[0m";
  EXPECT_THAT(DiffReportText(result, AllMetrics()), HasSubstr("a\\x0ab\\x1b[0m"));
}

TEST(DiffReportJson, HasTheFigures) {
  const Json json = DiffReportJson(Sample(), AllMetrics());
  EXPECT_EQ(json.Find("passed")->AsBool(), false);
  const Json& kl = *json.Find("metrics")->Find("kl");
  EXPECT_EQ(kl.Find("mean")->AsDouble(), 0.0123456789);
  EXPECT_EQ(kl.Find("max_position")->AsInteger(), 17);
  EXPECT_EQ(json.Find("metrics")->Find("rmse")->Find("rmse")->AsDouble(), 0.25);
  const auto& greedy = json.Find("metrics")->Find("greedy")->items();
  ASSERT_EQ(greedy.size(), 2);
  EXPECT_TRUE(greedy[0].Find("first_difference")->is_null());
  EXPECT_EQ(greedy[1].Find("first_difference")->AsInteger(), 7);
  EXPECT_EQ(greedy[1].Find("second_text")->AsString(), "two");
  const auto& thresholds = json.Find("thresholds")->items();
  ASSERT_EQ(thresholds.size(), 2);
  EXPECT_EQ(thresholds[0].Find("met")->AsBool(), false);
  EXPECT_EQ(thresholds[0].Find("flag")->AsString(), "max-kl");
}

TEST(DiffReportCsv, PutsALimitBesideItsFigure) {
  const Metric metrics[] = {Metric::kKl, Metric::kTop1, Metric::kRmse, Metric::kGreedy};
  EXPECT_EQ(DiffReportCsv(Sample(), metrics),
            "metric,statistic,value,limit,met\n"
            "kl,mean,0.0123456789,0.01,false\n"
            "kl,standard_error,0.00045,,\n"
            "kl,median,0.01,,\n"
            "kl,median_standard_error,0.001,,\n"
            "kl,p95,0.05,,\n"
            "kl,p95_standard_error,0.004,,\n"
            "kl,p99,0.2,,\n"
            "kl,p99_standard_error,0.03,,\n"
            "kl,max,0.75,,\n"
            "top1,agreement,0.975,0.9,true\n"
            "top1,standard_error,0.0078,,\n"
            "rmse,rmse,0.25,,\n"
            "rmse,standard_error,0.002,,\n"
            "greedy,first_difference_1,,,\n"
            "greedy,first_difference_2,7,,\n");
}

TEST(DiffReport, NonFiniteLogitsGiveNoFigures) {
  DiffResult result = Sample();
  result.non_finite = NonFinite{Side::kSecond, "window 3", "the logits have a NaN or an infinity"};
  EXPECT_FALSE(result.passed());
  const std::string finding = "second (quantized), window 3: the logits have a NaN or an infinity";
  EXPECT_EQ(DiffVerdict(result), "not finite: " + finding);
  const std::string text = DiffReportText(result, AllMetrics());
  EXPECT_THAT(text, HasSubstr("not finite         " + finding));
  EXPECT_THAT(text, Not(HasSubstr("KL")));
  const Json json = DiffReportJson(result, AllMetrics());
  EXPECT_EQ(json.Find("passed")->AsBool(), false);
  EXPECT_EQ(json.Find("non_finite")->Find("model")->AsString(), "second");
  EXPECT_EQ(json.Find("metrics"), nullptr);
  EXPECT_EQ(DiffReportCsv(result, AllMetrics()),
            "metric,statistic,value,limit,met\nnon_finite,second,,,false\n");
}

// A value that is no number is not said to be larger or smaller than its limit.
TEST(DiffReport, NanIsNeitherAboveNorBelow) {
  DiffResult result = Sample();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  result.thresholds = {{&FindKind("max-ppl-ratio"), 1.01, nan, false}};
  EXPECT_EQ(DiffVerdict(result), "limit not met: perplexity ratio nan against 1.01");
  const Json json = DiffReportJson(result, AllMetrics());
  EXPECT_EQ(json.Find("thresholds")->items().front().Find("value")->AsString(), "nan");
}

TEST(DiffReport, WithoutLimitsItPasses) {
  DiffResult result = Sample();
  result.thresholds.clear();
  EXPECT_TRUE(result.passed());
  EXPECT_EQ(DiffVerdict(result), "no limit given");
}

}  // namespace
}  // namespace slim
