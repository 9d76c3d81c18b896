#include "run/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "run/sampler.h"

namespace slim {
namespace {

struct Measurement {
  const Model& model;
  std::vector<int32_t> tokens;
  Sequence sequence;
  std::vector<float> logits;

  // Seconds for all tokens in one call, or one call a token.
  Result<double> Time(bool one_by_one) {
    sequence.Clear(model.config());
    const auto start = std::chrono::steady_clock::now();
    const std::span<const int32_t> all(tokens);
    if (!one_by_one) {
      SLIM_TRY(model.Forward(all, sequence, true, logits));
    } else {
      for (size_t i = 0; i < all.size(); ++i)
        SLIM_TRY(model.Forward(all.subspan(i, 1), sequence, true, logits));
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
};

std::vector<int32_t> SomeTokens(uint64_t count, uint64_t vocab) {
  RandomNumbers random(1);
  std::vector<int32_t> tokens(count);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random.Next() % vocab);
  return tokens;
}

}  // namespace

double BenchRow::Mean() const {
  return std::accumulate(tokens_per_second.begin(), tokens_per_second.end(), 0.0) /
         static_cast<double>(tokens_per_second.size());
}

double BenchRow::StandardDeviation() const {
  if (tokens_per_second.size() < 2) return 0;
  const double mean = Mean();
  double squares = 0;
  for (const double value : tokens_per_second) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(tokens_per_second.size() - 1));
}

Result<std::vector<BenchRow>> MeasureSpeed(const Model& model, const BenchOptions& options,
                                           const std::function<void(uint64_t, uint64_t)>& on_run) {
  const uint64_t prompt = std::min(options.prompt_tokens, options.context);
  const uint64_t generated = std::min(options.generated_tokens, options.context);
  std::vector<BenchRow> rows;
  if (prompt > 0) rows.push_back({fmt::format("pp{}", prompt), prompt, {}});
  if (generated > 0) rows.push_back({fmt::format("tg{}", generated), generated, {}});
  const uint64_t runs = options.repetitions + 1;
  uint64_t done = 0;
  for (BenchRow& row : rows) {
    Measurement measurement{
        model, SomeTokens(row.tokens, model.config().vocab_size), Sequence(model.config()), {}};
    for (uint64_t i = 0; i < runs; ++i) {
      SLIM_ASSIGN(const double seconds, measurement.Time(row.test.starts_with("tg")));
      if (i > 0)
        row.tokens_per_second.push_back(static_cast<double>(row.tokens) / std::max(seconds, 1e-9));
      if (on_run) on_run(++done, rows.size() * runs);
    }
  }
  return rows;
}

}  // namespace slim
