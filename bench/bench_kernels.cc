// Speed of the kernels on this machine, beside the peak of a loop that does nothing but multiply
// and add:
//   bench_kernels [THREADS]
// Figures are the best of several short runs. GFLOPS and GOPS count a multiply and an add as two.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/convert.h"
#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "kernels/packed_matmul.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"
#include "kernels/transformer.h"
#include "os/processors.h"
#include "parallel/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace slim {
namespace {

double BestSeconds(const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  const auto start = Clock::now();
  do {
    const auto begin = Clock::now();
    body();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  } while (Clock::now() - start < std::chrono::milliseconds(200));
  return best;
}

#if defined(__x86_64__)

constexpr int kPeakSteps = 20000;
constexpr int kPeakSums = 12;  // enough to hide the latency, few enough for 16 registers

[[gnu::target("avx2,fma")]] double PeakAvx2() {
  __m256 sum[kPeakSums] = {};
  const __m256 a = _mm256_set1_ps(0.5F);
  for (int i = 0; i < kPeakSteps; ++i) {
#pragma GCC unroll 12
    for (int s = 0; s < kPeakSums; ++s) {
      sum[s] = _mm256_fmadd_ps(sum[s], a, a);
      asm volatile("" : "+x"(sum[s]));
    }
  }
  return 2.0 * 8 * kPeakSums * kPeakSteps;
}

[[gnu::target("avx512f")]] double PeakAvx512() {
  __m512 sum[kPeakSums] = {};
  const __m512 a = _mm512_set1_ps(0.5F);
  for (int i = 0; i < kPeakSteps; ++i) {
#pragma GCC unroll 12
    for (int s = 0; s < kPeakSums; ++s) {
      sum[s] = _mm512_fmadd_ps(sum[s], a, a);
      asm volatile("" : "+v"(sum[s]));
    }
  }
  return 2.0 * 16 * kPeakSums * kPeakSteps;
}

[[gnu::target("avx512f,avx512vnni")]] double PeakVnni() {
  __m512i sum[kPeakSums] = {};
  const __m512i a = _mm512_set1_epi8(3);
  for (int i = 0; i < kPeakSteps; ++i) {
#pragma GCC unroll 12
    for (int s = 0; s < kPeakSums; ++s) {
      sum[s] = _mm512_dpbusd_epi32(sum[s], a, a);
      asm volatile("" : "+v"(sum[s]));
    }
  }
  return 2.0 * 64 * kPeakSums * kPeakSteps;
}

// Operations a second of one thread; 0 where no peak is measured.
double MeasuredPeak(Isa isa, bool int8) {
  double (*loop)() = nullptr;
  if (isa == Isa::kAvx512 && int8 && __builtin_cpu_supports("avx512vnni")) loop = PeakVnni;
  if (isa == Isa::kAvx512 && !int8) loop = PeakAvx512;
  if (isa == Isa::kAvx2 && !int8) loop = PeakAvx2;
  if (loop == nullptr) return 0;
  double operations = 0;
  const double seconds = BestSeconds([&] { operations = loop(); });
  return operations / seconds;
}

#else

double MeasuredPeak(Isa, bool) { return 0; }

#endif

void Report(const std::string& name, double operations, double bytes, double seconds, double peak) {
  fmt::print("  {:<34} {:>10.1f} us {:>9.1f} Gop/s {:>7.1f} GB/s", name, seconds * 1e6,
             operations / seconds / 1e9, bytes / seconds / 1e9);
  if (peak > 0) fmt::print(" {:>5.0f} % of peak", 100 * operations / seconds / peak);
  fmt::print("\n");
}

struct Size {
  uint64_t t;
  uint64_t n;
  uint64_t k;
};

std::vector<float> Numbers(uint64_t count) {
  std::mt19937 random(1);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
  return values;
}

void BenchFloat(const Size& size, DType dtype, double peak, ThreadPool& pool, bool packed) {
  const std::vector<float> x = Numbers(size.t * size.k);
  const std::vector<float> w = Numbers(size.n * size.k);
  Tensor weights(dtype, {size.n, size.k});
  FromFloat(dtype, w.data(), weights.data.data(), w.size());
  std::vector<float> y(size.t * size.n);
  const PackedMatrix matrix =
      PackMatrix(dtype, size.n, size.k, weights.data.data(), size.k * (DTypeBits(dtype) / 8));
  const double seconds = BestSeconds([&] {
    if (packed) {
      MatMulPacked(x.data(), size.t, matrix, y.data(), pool);
    } else {
      MatMul(x.data(), size.t, weights.view(), y.data(), pool);
    }
  });
  Report(fmt::format("{} {} t{} n{} k{}", packed ? "MatMulPacked" : "MatMul", DTypeName(dtype),
                     size.t, size.n, size.k),
         2.0 * static_cast<double>(size.t * size.n * size.k),
         static_cast<double>(weights.data.size()), seconds, peak);
}

void BenchBf16(const Size& size, double float_peak, ThreadPool& pool) {
  const std::vector<float> x = Numbers(size.t * size.k);
  const std::vector<std::byte> w(size.n * size.k * 2, std::byte{0x3C});
  const PackedMatrix matrix = PackMatrix(DType::kBF16, size.n, size.k, w.data(), size.k * 2);
  std::vector<float> y(size.t * size.n);
  const double seconds = BestSeconds([&] { MatMulBf16(x.data(), size.t, matrix, y.data(), pool); });
  Report(fmt::format("MatMulBf16 t{} n{} k{}", size.t, size.n, size.k),
         2.0 * static_cast<double>(size.t * size.n * size.k), static_cast<double>(w.size()),
         seconds, float_peak);
}

void BenchInt8(const Size& size, double peak, ThreadPool& pool) {
  const std::vector<int8_t> x(size.t * size.k, int8_t{3});
  const std::vector<std::byte> codes(size.n * size.k, std::byte{0xFB});
  const PackedMatrix w = PackMatrix(DType::kI8, size.n, size.k, codes.data(), size.k);
  PackedCodes packed;
  const double seconds = BestSeconds([&] {
    packed.Pack(x.data(), size.t, size.k, pool);
    MatMulInt8Packed(packed, w, pool, [](const Int8Sums&) {});
  });
  Report(fmt::format("MatMulInt8Packed t{} n{} k{}", size.t, size.n, size.k),
         2.0 * static_cast<double>(size.t * size.n * size.k), static_cast<double>(w.data.size()),
         seconds, peak);
}

void BenchRows() {
  constexpr uint64_t kCount = 1 << 16;
  const std::vector<float> values = Numbers(kCount);
  std::vector<float> out(kCount);
  std::vector<int8_t> codes(kCount);
  const auto row = [&](const char* name, double bytes, const std::function<void()>& body) {
    Report(name, kCount, bytes * kCount, BestSeconds(body), 0);
  };
  row("AbsMax", 4, [&] { out[0] = AbsMax(values.data(), kCount); });
  row("FindMinMax", 4, [&] { out[0] = FindMinMax(values.data(), kCount).min; });
  row("QuantizeRow F32", 5,
      [&] { QuantizeRow(values.data(), kCount, 0.01F, 3, DType::kF32, -128, 127, codes.data()); });
  row("QuantizeRow BF16", 5,
      [&] { QuantizeRow(values.data(), kCount, 0.01F, 3, DType::kBF16, -128, 127, codes.data()); });
  row("QuantizeToken", 5, [&] { QuantizeToken(values.data(), kCount, codes.data()); });
  row("RoundToDType F16", 8, [&] { RoundToDType(DType::kF16, out.data(), kCount); });
  row("SiluMul", 12, [&] { SiluMul(values.data(), values.data(), kCount, out.data()); });
  row("Softmax", 8, [&] { Softmax(out.data(), kCount); });
  std::vector<float> dots(kCount / 64);
  row("Dot k64, many", 4, [&] {
    for (uint64_t i = 0; i < kCount / 64; ++i) {
      dots[i] = Dot(values.data(), values.data() + i * 64, 64);
    }
  });
}

void BenchIsa(ThreadPool& pool) {
  const Isa isa = CurrentIsa();
  const double threads = pool.threads();
  const double float_peak = MeasuredPeak(isa, false);
  const double int8_peak = MeasuredPeak(isa, true);
  fmt::print("{}: {:.0f} GFLOPS and {:.0f} int8 GOPS a thread at most\n", IsaName(isa),
             float_peak / 1e9, int8_peak / 1e9);
  const std::vector<Size> sizes =
      isa == Isa::kScalar
          ? std::vector<Size>{{1, 1024, 1024}, {16, 256, 1024}}
          : std::vector<Size>{
                {1, 4096, 1024}, {8, 4096, 1024}, {64, 1024, 1024}, {256, 1024, 4864}};
  for (const Size& size : sizes) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      BenchFloat(size, dtype, float_peak * threads, pool, false);
    }
    BenchFloat(size, DType::kBF16, float_peak * threads, pool, true);
    BenchBf16(size, float_peak * threads, pool);
    BenchInt8(size, int8_peak * threads, pool);
  }
  BenchRows();
}

int Main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? std::max(1, std::atoi(argv[1])) : 1);
  fmt::print("{} threads of {}\n", pool.threads(), DefaultThreadCount());
  for (const Isa isa : SupportedIsas()) {
    if (SetIsa(IsaName(isa)).ok()) BenchIsa(pool);
  }
  return 0;
}

}  // namespace
}  // namespace slim

int main(int argc, char** argv) { return slim::Main(argc, argv); }
