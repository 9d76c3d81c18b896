#include "kernels/isa.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>

#include "kernels/dispatch.h"

#include <hwy/highway.h>

namespace slim {
namespace {

struct IsaRow {
  Isa isa;
  std::string_view name;
  int64_t targets;  // what Highway may choose from; its baseline is always there
};

#if HWY_ARCH_X86
constexpr IsaRow kIsas[] = {{Isa::kScalar, "scalar", HWY_SSSE3},
                            {Isa::kAvx2, "avx2", HWY_AVX2},
                            {Isa::kAvx512, "avx512", HWY_AVX3}};
constexpr std::string_view kNames = "use scalar, avx2 or avx512";
#else
constexpr IsaRow kIsas[] = {{Isa::kScalar, "scalar", HWY_STATIC_TARGET},
                            {Isa::kDotprod, "dotprod", HWY_STATIC_TARGET}};
constexpr std::string_view kNames = "use scalar or dotprod";
#endif

// Linux lets programs read this register and keeps from it what the processors do not all have
// (kernel documentation, arm64/cpu-feature-registers).
bool HasDotprod() {
#if defined(__aarch64__)
  uint64_t features = 0;
  asm("mrs %0, ID_AA64ISAR0_EL1" : "=r"(features));
  return (features >> 44 & 0xF) != 0;
#else
  return false;
#endif
}

bool IsSupported(const IsaRow& row) {
  if (row.isa == Isa::kDotprod) return HasDotprod();
  return row.isa == Isa::kScalar || (hwy::SupportedTargets() & row.targets) != 0;
}

std::atomic<Isa> current_isa{Isa::kScalar};

void Choose(const IsaRow& row) {
  hwy::GetChosenTarget().Update(row.targets);
  current_isa.store(row.isa);
}

Status ChooseByName(std::string_view name) {
  for (const IsaRow& row : kIsas) {
    if (row.name != name) continue;
    if (!IsSupported(row)) {
      return UsageError("this processor has no " + std::string(name) + " instructions");
    }
    Choose(row);
    return {};
  }
  return UsageError("no instruction set has this name", std::string(kNames));
}

// Runs once, before the first kernel.
Status Initialize() {
  for (const IsaRow& row : kIsas) {
    if (IsSupported(row)) Choose(row);
  }
  const char* wanted = std::getenv("SLIM_ISA");
  if (wanted == nullptr || *wanted == '\0') return {};
  return ChooseByName(wanted);
}

const Status& Initialized() {
  static const Status status = Initialize();
  return status;
}

}  // namespace

void PrepareDispatch() { static_cast<void>(Initialized()); }

Status IsaEnvironmentStatus() { return Initialized(); }

Isa CurrentIsa() {
  PrepareDispatch();
  return current_isa.load(std::memory_order_relaxed);
}

std::vector<Isa> SupportedIsas() {
  std::vector<Isa> isas;
  for (const IsaRow& row : kIsas) {
    if (IsSupported(row)) isas.push_back(row.isa);
  }
  return isas;
}

Status SetIsa(std::string_view name) {
  PrepareDispatch();
  return ChooseByName(name);
}

std::string_view IsaName(Isa isa) {
  for (const IsaRow& row : kIsas) {
    if (row.isa == isa) return row.name;
  }
  return "unknown";
}

}  // namespace slim
