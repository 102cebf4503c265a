#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/status.h"

namespace penstock::kernels {

// In rising order: an op that lacks an entry is served by the next lower one.
enum class Isa : uint8_t { kReference, kAvx2, kAvx512, kAvx512Bf16, kCuda };

std::string_view IsaName(Isa isa);

// CPUID and the operating system's XSAVE state, read once.
bool CpuHasAvx2();        // AVX2, FMA and F16C
bool CpuHasAvx512();      // these, and F, BW, DQ and VL
bool CpuHasAvx512Bf16();  // these, and BF16
bool CudaDevicePresent();
bool AlwaysSupported();

// The best that this machine's CPU offers: not AVX-512-BF16 where products of float32 are faster.
Isa DetectedIsa();

// The best entry that ForOp may choose: DetectedIsa() unless forced. CUDA only when forced, since
// its entries copy operands to the device and back in every call.
Isa IsaLimit();

// "reference", "avx2", "avx512", "avx512bf16" or "cuda"; "" returns to automatic. kUnsupported where
// this machine lacks it, kInvalidArgument for any other name; the choice then stays. For start-up
// and tests.
Status ForceIsa(std::string_view name);

// The best supported entry of an op's table, at most IsaLimit(). Tables are best first, reference
// last.
template <typename Impl>
const Impl& ForOp(std::span<const Impl> impls) {
  const Isa limit = IsaLimit();
  for (const Impl& impl : impls) {
    if (impl.isa <= limit && impl.supported()) return impl;
  }
  return impls.back();
}

}  // namespace penstock::kernels
