#include "kernels/device/isa.h"

#include <cpuid.h>

#include <atomic>
#include <optional>

namespace penstock::kernels {
namespace {

constexpr int kAutomatic = -1;
std::atomic<int> forced{kAutomatic};

std::optional<Isa> ParseIsa(std::string_view name) {
  for (Isa isa : {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16, Isa::kCuda}) {
    if (name == IsaName(isa)) return isa;
  }
  return std::nullopt;
}

// clang 14 does not know the name of this one.
bool CpuHasF16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

bool Present(Isa isa) {
  switch (isa) {
    case Isa::kReference:
      return true;
    case Isa::kAvx2:
      return CpuHasAvx2();
    case Isa::kAvx512:
      return CpuHasAvx512();
    case Isa::kAvx512Bf16:
      return CpuHasAvx512Bf16();
    case Isa::kCuda:
      return CudaDevicePresent();
  }
  return false;
}

}  // namespace

std::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kReference:
      return "reference";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Bf16:
      return "avx512bf16";
    case Isa::kCuda:
      return "cuda";
  }
  return "";
}

bool CpuHasAvx2() {
  static const bool has =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && CpuHasF16c();
  return has;
}

bool CpuHasAvx512() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return has;
}

bool CpuHasAvx512Bf16() {
  static const bool has = CpuHasAvx512() && __builtin_cpu_supports("avx512bf16");
  return has;
}

bool AlwaysSupported() { return true; }

Isa DetectedIsa() {
  // Intel's cores begin such a product every second cycle and two multiply-adds of float32 in each:
  // half the work. AMD's begin one in each.
  if (CpuHasAvx512Bf16() && !__builtin_cpu_is("intel")) return Isa::kAvx512Bf16;
  if (CpuHasAvx512()) return Isa::kAvx512;
  return CpuHasAvx2() ? Isa::kAvx2 : Isa::kReference;
}

Isa IsaLimit() {
  const int choice = forced.load(std::memory_order_relaxed);
  return choice == kAutomatic ? DetectedIsa() : static_cast<Isa>(choice);
}

Status ForceIsa(std::string_view name) {
  if (name.empty()) {
    forced.store(kAutomatic, std::memory_order_relaxed);
    return {};
  }
  const std::optional<Isa> isa = ParseIsa(name);
  if (!isa) {
    return {Code::kInvalidArgument,
            "kernels.force must be reference, avx2, avx512, avx512bf16 or cuda"};
  }
  if (!Present(*isa)) {
    return {Code::kUnsupported, "kernels.force names an instruction set this machine lacks"};
  }
  forced.store(static_cast<int>(*isa), std::memory_order_relaxed);
  return {};
}

}  // namespace penstock::kernels
