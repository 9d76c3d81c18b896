// Choosing the next token from logits. Greedy unless a temperature is given. Bit-defined: own
// generator, own exponential, ties in favour of the smaller id.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace slim {

// Applied in the order of transformers: temperature, top_k, top_p.
struct SamplingOptions {
  double temperature = 0;  // 0: the most probable token, whatever the rest says
  double top_p = 1;        // the most probable tokens that together reach this probability
  uint64_t top_k = 0;      // the k most probable tokens; 0: all
  uint64_t seed = 0;
};

// SplitMix64 (Steele, Lea, Flood 2014): one 64-bit state, any seed is good.
class RandomNumbers {
 public:
  explicit RandomNumbers(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  double NextUnit();  // in [0, 1), 53 bits

 private:
  uint64_t state_;
};

class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) {}
  // `logits` is one row, finite and not empty.
  int32_t Pick(std::span<const float> logits);

 private:
  struct Candidate {
    float logit;
    int32_t id;
  };
  void Filter();

  SamplingOptions options_;
  RandomNumbers random_;
  std::vector<Candidate> candidates_;
  std::vector<double> weights_;
};

// The index of the largest logit, the first of equal ones.
int32_t ArgMax(std::span<const float> logits);

}  // namespace slim
