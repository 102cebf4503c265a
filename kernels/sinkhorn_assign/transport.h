#pragma once

#include <cstdint>

namespace penstock::kernels {

// A row of the transport in scratch memory: padded to 16 lanes on every CPU, so that all CPUs sum
// it in one order. always_inline: SIMD files call it.
inline constexpr int64_t kTransportLanes = 16;

[[gnu::always_inline]] constexpr int64_t TransportColumns(int64_t experts) {
  return (experts + kTransportLanes - 1) / kTransportLanes * kTransportLanes;
}

}  // namespace penstock::kernels
