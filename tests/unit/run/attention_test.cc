#include "run/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <random>

namespace slim {
namespace {

struct Inputs {
  ModelConfig config;
  uint64_t length = 0;
  std::vector<float> queries, keys, values;  // [length, heads, head_dim]
};

Inputs RandomInputs(uint64_t heads, uint64_t kv_heads, uint64_t head_dim, uint64_t length) {
  Inputs inputs;
  inputs.config.num_heads = heads;
  inputs.config.num_kv_heads = kv_heads;
  inputs.config.head_dim = head_dim;
  inputs.length = length;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const auto fill = [&](std::vector<float>& values, uint64_t count) {
    values.resize(count);
    for (float& value : values) value = normal(random);
  };
  fill(inputs.queries, length * heads * head_dim);
  fill(inputs.keys, length * kv_heads * head_dim);
  fill(inputs.values, length * kv_heads * head_dim);
  return inputs;
}

// softmax(q k / sqrt(d)) v in double, straight from the definition.
std::vector<double> Expected(const Inputs& in, std::optional<uint64_t> window) {
  const uint64_t heads = in.config.num_heads;
  const uint64_t kv_heads = in.config.num_kv_heads;
  const uint64_t dim = in.config.head_dim;
  std::vector<double> out(in.length * heads * dim, 0.0);
  for (uint64_t i = 0; i < in.length; ++i) {
    for (uint64_t h = 0; h < heads; ++h) {
      const uint64_t kv = h / (heads / kv_heads);
      std::vector<double> weights(in.length, 0.0);
      double sum = 0;
      for (uint64_t j = 0; j <= i; ++j) {
        if (window && i - j >= *window) continue;
        double score = 0;
        for (uint64_t d = 0; d < dim; ++d)
          score += static_cast<double>(in.queries[(i * heads + h) * dim + d]) *
                   static_cast<double>(in.keys[(j * kv_heads + kv) * dim + d]);
        weights[j] = std::exp(score / std::sqrt(static_cast<double>(dim)));
        sum += weights[j];
      }
      for (uint64_t j = 0; j <= i; ++j)
        for (uint64_t d = 0; d < dim; ++d)
          out[(i * heads + h) * dim + d] +=
              weights[j] / sum * static_cast<double>(in.values[(j * kv_heads + kv) * dim + d]);
    }
  }
  return out;
}

// In calls of `chunk` tokens.
std::vector<float> Computed(const Inputs& in, std::optional<uint64_t> window, uint64_t chunk,
                            int threads, decltype(&Attend) attend) {
  ThreadPool pool(threads);
  KvCacheLayer cache(in.config);
  const uint64_t query_row = in.config.num_heads * in.config.head_dim;
  const uint64_t key_row = in.config.num_kv_heads * in.config.head_dim;
  std::vector<float> out(in.length * query_row);
  for (uint64_t first = 0; first < in.length; first += chunk) {
    const uint64_t t = std::min(chunk, in.length - first);
    cache.Append(in.keys.data() + first * key_row, in.values.data() + first * key_row, t);
    attend({in.config.num_heads, in.config.num_kv_heads, in.config.head_dim, window},
           in.queries.data() + first * query_row, t, first, cache, out.data() + first * query_row,
           pool);
  }
  return out;
}

// Of the reference backend and of the fast one.
class AttendTest : public testing::TestWithParam<decltype(&Attend)> {};
INSTANTIATE_TEST_SUITE_P(Backends, AttendTest, testing::Values(Attend, AttendFast));

TEST_P(AttendTest, IsTheDefinitionWithAndWithoutAWindow) {
  for (const uint64_t length : {37U, 150U}) {
    const Inputs in = RandomInputs(6, 2, 20, length);
    for (const std::optional<uint64_t> window :
         {std::optional<uint64_t>(), {1}, {5}, {37}, {70}, {200}}) {
      SCOPED_TRACE(window.value_or(0));
      const std::vector<double> wanted = Expected(in, window);
      const std::vector<float> found = Computed(in, window, in.length, 2, GetParam());
      for (size_t i = 0; i < wanted.size(); ++i)
        ASSERT_NEAR(static_cast<double>(found[i]), wanted[i], 1e-5) << i;
    }
  }
}

TEST_P(AttendTest, BitsDoNotDependOnChunksOrThreads) {
  // More scores than one chunk of work holds.
  const Inputs in = RandomInputs(8, 2, 16, 700);
  for (const std::optional<uint64_t> window : {std::optional<uint64_t>(), {9}}) {
    const std::vector<float> whole = Computed(in, window, in.length, 1, GetParam());
    EXPECT_EQ(Computed(in, window, 1, 2, GetParam()), whole);
    EXPECT_EQ(Computed(in, window, 33, 8, GetParam()), whole);
  }
}

TEST(KvCacheLayer, TruncateForgetsTheEnd) {
  const Inputs in = RandomInputs(2, 2, 4, 6);
  KvCacheLayer cache(in.config);
  cache.Reserve(6);
  cache.Append(in.keys.data(), in.values.data(), 6);
  EXPECT_EQ(cache.bytes(), 2 * 6 * 2 * 4 * sizeof(float));
  cache.Truncate(2);
  EXPECT_EQ(cache.length(), 2U);
  cache.Append(in.keys.data() + 5 * 8, in.values.data() + 5 * 8, 1);
  EXPECT_EQ(cache.length(), 3U);
  EXPECT_EQ(cache.keys(1)[2 * 4], in.keys[5 * 8 + 4]);
  EXPECT_EQ(cache.values(0)[2 * 4 + 3], in.values[5 * 8 + 3]);
}

}  // namespace
}  // namespace slim
