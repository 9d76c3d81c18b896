// Time of the tokenizer over one text, and the ids it gives, for bench/tokenizer.py.
//   bench_text TOKENIZER.json TEXT IDS [ROUNDS]
// Writes the ids as little-endian int32 and prints the median seconds of ROUNDS (3).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "os/file.h"
#include "text/tokenizer.h"

namespace slim {
namespace {

int Fail(const Error& error) {
  fmt::print(stderr, "bench_text: {}\n", error.ToString());
  return 1;
}

int Run(const char* tokenizer_path, const char* text_path, const char* ids_path, int rounds) {
  const auto json = ReadWholeFile(tokenizer_path);
  if (!json.ok()) return Fail(json.error());
  const auto text = ReadWholeFile(text_path);
  if (!text.ok()) return Fail(text.error());
  const auto tokenizer = Tokenizer::FromJson(*json, "");
  if (!tokenizer.ok()) return Fail(tokenizer.error());
  std::vector<double> seconds;
  std::vector<int32_t> ids;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    auto encoded = tokenizer->Encode(*text, false);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (!encoded.ok()) return Fail(encoded.error());
    seconds.push_back(taken.count());
    ids = std::move(encoded).value();
  }
  std::sort(seconds.begin(), seconds.end());
  std::FILE* file = std::fopen(ids_path, "wb");
  if (file == nullptr || std::fwrite(ids.data(), 4, ids.size(), file) != ids.size() ||
      std::fclose(file) != 0)
    return Fail(InternalError("cannot write the ids"));
  fmt::print("{:.6f}\n", seconds[seconds.size() / 2]);
  return 0;
}

}  // namespace
}  // namespace slim

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: bench_text TOKENIZER.json TEXT IDS [ROUNDS]\n");
    return 2;
  }
  return slim::Run(argv[1], argv[2], argv[3], argc > 4 ? std::max(1, std::atoi(argv[4])) : 3);
}
