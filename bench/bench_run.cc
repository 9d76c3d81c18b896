// What slim-run is held against on this machine, in lines "NAME VALUE":
//   bench_run CHECKPOINT [THREADS]
// memory_gb_s   reading memory with THREADS threads
// pread_gb_s    reading the checkpoint's weights with THREADS preads at a time into fresh memory
// load_gb_s     Model::Load of the same checkpoint
// peak_gops     what one thread's int8 dot product instructions give without memory, times THREADS
// gemm_gops     int8 products of 512 tokens in the shapes of the checkpoint's first block
// Figures are the best of several runs; files are in the page cache.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "kernels/packed_matmul.h"
#include "kernels/reduce.h"
#include "model/modules.h"
#include "model/read_config.h"
#include "parallel/thread_pool.h"
#include "run/model.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace slim {
namespace {

double BestSeconds(int runs, const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const auto begin = Clock::now();
    body();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

double MemorySpeed(ThreadPool& pool) {
  constexpr uint64_t kBytes = uint64_t{1} << 30;
  const std::vector<int8_t> memory(kBytes, int8_t{1});
  std::vector<int32_t> sums(64);
  const uint64_t part = kBytes / sums.size();
  const double seconds = BestSeconds(10, [&] {
    pool.ParallelFor(sums.size(), 1, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) {
        // Parts that SumInt8 sums exactly.
        for (uint64_t at = 0; at < part; at += 1 << 20)
          sums[i] += SumInt8(memory.data() + i * part + at, 1 << 20);
      }
    });
  });
  return kBytes / seconds / 1e9;
}

double PreadSpeed(const Checkpoint& checkpoint, ThreadPool& pool) {
  constexpr uint64_t kPiece = uint64_t{8} << 20;
  struct Piece {
    const TensorEntry* tensor;
    uint64_t begin;
    uint64_t size;
    uint64_t place;
  };
  std::vector<Piece> pieces;
  uint64_t total = 0;
  for (const TensorEntry& entry : checkpoint.tensors()) {
    for (uint64_t at = 0; at < entry.size; at += kPiece) {
      const uint64_t size = std::min(kPiece, entry.size - at);
      pieces.push_back({&entry, at, size, total});
      total += size;
    }
  }
  const double seconds = BestSeconds(5, [&] {
    const std::unique_ptr<std::byte[]> memory(new std::byte[total]);
    pool.ParallelFor(pieces.size(), 1, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) {
        const Piece& piece = pieces[i];
        const std::span<std::byte> to(memory.get() + piece.place, piece.size);
        if (!checkpoint.ReadPart(*piece.tensor, to, piece.begin).ok()) std::abort();
      }
    });
  });
  return static_cast<double>(total) / seconds / 1e9;
}

double LoadSpeed(const Checkpoint& checkpoint, ThreadPool& pool) {
  uint64_t bytes = 0;
  const double seconds = BestSeconds(5, [&] {
    const auto model = Model::Load(checkpoint, Backend::kFast, pool, SilentListener());
    if (!model.ok()) std::abort();
    bytes = model->bytes();
  });
  return static_cast<double>(bytes) / seconds / 1e9;
}

#if defined(__x86_64__)

[[gnu::target("avx512f,avx512vnni")]] double VnniOperations() {
  constexpr int kSteps = 20000;
  constexpr int kSums = 12;  // enough to hide the latency
  __m512i sum[kSums] = {};
  const __m512i a = _mm512_set1_epi8(3);
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int s = 0; s < kSums; ++s) {
      sum[s] = _mm512_dpbusd_epi32(sum[s], a, a);
      asm volatile("" : "+v"(sum[s]));
    }
  }
  return 2.0 * 64 * kSums * kSteps;
}

double PeakSpeed(int threads) {
  if (!__builtin_cpu_supports("avx512vnni")) return 0;
  double operations = 0;
  const double seconds = BestSeconds(1000, [&] { operations = VnniOperations(); });
  return operations / seconds / 1e9 * threads;
}

#else

double PeakSpeed(int) { return 0; }

#endif

// Every linear of the first block in turn; the best run of each counts.
double GemmSpeed(const ModelConfig& config, ThreadPool& pool) {
  constexpr uint64_t kTokens = 512;
  double seconds = 0;
  double operations = 0;
  for (const Module& module : BlockModules(config, 0)) {
    if (!module.IsLinear()) continue;
    const uint64_t n = module.weight_shape[0];
    const uint64_t k = module.weight_shape[1];
    const std::vector<int8_t> x(kTokens * k, int8_t{3});
    const std::vector<std::byte> codes(n * k, std::byte{0xFB});
    const PackedMatrix w = PackMatrix(DType::kI8, n, k, codes.data(), k);
    PackedCodes packed;
    seconds += BestSeconds(50, [&] {
      packed.Pack(x.data(), kTokens, k, pool);
      MatMulInt8Packed(packed, w, pool, [](const Int8Sums&) {});
    });
    operations += 2.0 * static_cast<double>(kTokens * n * k);
  }
  return operations / seconds / 1e9;
}

int Main(int argc, char** argv) {
  if (argc < 2) return 2;
  ThreadPool pool(argc > 2 ? std::max(1, std::atoi(argv[2])) : 2);
  const auto checkpoint = Checkpoint::Open(argv[1]);
  if (!checkpoint.ok()) {
    fmt::print(stderr, "{}\n", checkpoint.error().message);
    return 3;
  }
  const auto config = ReadModelConfig(*checkpoint);
  if (!config.ok()) return 3;
  fmt::print("memory_gb_s {:.2f}\n", MemorySpeed(pool));
  fmt::print("pread_gb_s {:.2f}\n", PreadSpeed(*checkpoint, pool));
  fmt::print("load_gb_s {:.2f}\n", LoadSpeed(*checkpoint, pool));
  fmt::print("peak_gops {:.1f}\n", PeakSpeed(pool.threads()));
  fmt::print("gemm_gops {:.1f}\n", GemmSpeed(*config, pool));
  return 0;
}

}  // namespace
}  // namespace slim

int main(int argc, char** argv) { return slim::Main(argc, argv); }
