// Counters of the server in the text format of Prometheus. Safe to use from any thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace slim {

class Histogram {
 public:
  void Add(double seconds);
  // Lines of one histogram called `name`.
  std::string Text(std::string_view name, std::string_view help) const;

 private:
  static constexpr std::array<double, 12> kBounds = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                                     1,    2.5,   5,    10,  30,   120};
  mutable std::mutex mutex_;
  std::array<uint64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
};

struct Metrics {
  std::atomic<uint64_t> running = 0;  // sequences that are decoded together
  std::atomic<uint64_t> waiting = 0;  // prompts in the queue
  std::atomic<uint64_t> prompt_tokens = 0;
  std::atomic<uint64_t> generated_tokens = 0;
  std::atomic<uint64_t> decode_steps = 0;
  std::atomic<uint64_t> cancelled = 0;  // requests whose client went away
  Histogram first_token;
  Histogram duration;

  void CountAnswer(std::string_view path, int status);
  std::string Text(std::string_view model) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> answers_;  // by path and status
};

}  // namespace slim
