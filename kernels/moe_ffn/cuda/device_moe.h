#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/device_buffer.h"
#include "kernels/device/status.h"
#include "kernels/moe_ffn/cuda/packed_experts.h"
#include "kernels/moe_ffn/cuda/regime.h"

namespace penstock::kernels {

// The experts' weights on a device, uploaded once. Immutable then, shared between threads freely.
class DeviceMoe {
 public:
  // To the current device. kUnsupported unless AllBf16(), or without CUDA.
  Status Upload(const MoeWeights& w);

  const ExpertLayout& layout() const { return layout_; }
  const char* data() const { return static_cast<const char*>(memory_.data()); }
  GpuArch arch() const { return arch_; }
  int processors() const { return processors_; }

 private:
  DeviceBuffer memory_;
  ExpertLayout layout_;
  GpuArch arch_ = GpuArch::kSm80;
  int processors_ = 0;
};

// MoeFfn of bfloat16 weights with operands on the device. Rows are bfloat16, sums float32, h is
// rounded to bfloat16, outputs and their sum over slots (in slot order) float32.
struct MoeDeviceArgs {
  int64_t rows = 0;
  int64_t k = 0;
  const int32_t* offsets =
      nullptr;                      // [experts + 1]; offsets, src and dst as RoutePlan() gives them
  const int32_t* src = nullptr;     // [rows * k]
  const int32_t* dst = nullptr;     // [rows * k]
  const float* weights = nullptr;   // [rows, k]
  const uint16_t* x = nullptr;      // [rows][x_stride], on 16 bytes
  int64_t x_stride = 0;             // a multiple of 8, at least d
  const float* residual = nullptr;  // [rows, o], or null; may be y
  float* y = nullptr;               // [rows, o]
  void* workspace = nullptr;        // MoeDeviceWorkspaceBytes(), on kMoeDeviceAlign bytes
  size_t workspace_bytes = 0;
  MoeTiling tiling;
  void* stream = nullptr;  // cudaStream_t
};
inline constexpr size_t kMoeDeviceAlign = 256;

// Enqueues and returns: waits for nothing, allocates nothing, and launches what rows, k and the
// weights' shape say, whatever the plan holds, so a CUDA graph can capture the call. The device
// must be the one of the upload. A row's bits do not depend on the other rows or on the size of the
// tile, but kStream's are not those of the other two regimes.
Status MoeFfnOnDevice(const DeviceMoe& moe, const MoeDeviceArgs& args);
size_t MoeDeviceWorkspaceBytes(const ExpertLayout& layout, int64_t rows, int64_t k);
Status CheckMoeDevice(const ExpertLayout& layout, const MoeDeviceArgs& args);

// x [rows, width] to y [rows][stride], 0 behind `width`, both on the device. `stride` is a multiple
// of 8, y on 16 bytes.
Status RoundToBf16OnDevice(const float* x, int64_t rows, int64_t width, uint16_t* y, int64_t stride,
                           void* stream);

}  // namespace penstock::kernels
