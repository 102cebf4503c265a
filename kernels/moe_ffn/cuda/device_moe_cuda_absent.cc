#include "kernels/moe_ffn/cuda/device_moe.h"

namespace penstock::kernels {
namespace {

constexpr Status kAbsent = {Code::kUnsupported, "moe_ffn device: built without CUDA"};

}  // namespace

Status DeviceMoe::Upload(const MoeWeights&) { return kAbsent; }
Status MoeFfnOnDevice(const DeviceMoe&, const MoeDeviceArgs&) { return kAbsent; }
Status RoundToBf16OnDevice(const float*, int64_t, int64_t, uint16_t*, int64_t, void*) {
  return kAbsent;
}

}  // namespace penstock::kernels
