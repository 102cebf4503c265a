#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/device/cuda_status.cuh"
#include "kernels/moe_ffn/cuda/moe_steps.h"

namespace penstock::kernels {
namespace {

__global__ void __launch_bounds__(kTilePlanThreads) PlanKernel(const TokenTilePlan p) {
  PlanTokenTiles(p);
}

// Two blocks share a processor here and below: 128 registers a thread, and none spilled.
template <bool kGateUp>
__global__ void __launch_bounds__(kGemvThreads, 2) GemvKernel(const ExpertProduct p) {
  ExpertGemv<kGateUp>(p);
}

template <int kTokens, bool kGateUp>
__global__ void __launch_bounds__(ExpertGemmShape<kTokens>::kThreads, 2)
    GemmKernel(const ExpertProduct p) {
  ExpertGemm<kTokens, kGateUp>(p);
}

__global__ void __launch_bounds__(kRowThreads) RoundKernel(const RowRounding p) { RoundRows(p); }

__global__ void __launch_bounds__(kRowThreads) SumKernel(const SlotSums p) { SumSlots(p); }

// As many blocks as the device holds or a few times that, and no more than there are items: each
// strides over the rest.
unsigned BlocksFor(int64_t items, int processors, int blocks_a_processor) {
  return static_cast<unsigned>(
      std::clamp<int64_t>(items, 1, static_cast<int64_t>(processors) * blocks_a_processor));
}
constexpr int kGemmBlocks = 2;  // resident; more would fetch the first stages late
constexpr int kGemvBlocks = 8;
constexpr int kRowBlocks = 16;

template <int kTokens>
Status AllowSharedMemory() {
  constexpr int kBytes = ExpertGemmShape<kTokens>::kSharedBytes;
  const Status status = ToStatus(cudaFuncSetAttribute(
      GemmKernel<kTokens, true>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
  if (!status.ok()) return status;
  return ToStatus(cudaFuncSetAttribute(GemmKernel<kTokens, false>,
                                       cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
}

// Of the current device, so with every upload: what the kernels may use, and their code, which the
// runtime otherwise loads at the first launch, maybe within a capture.
Status PrepareKernels() {
  for (const auto allow : {AllowSharedMemory<8>, AllowSharedMemory<16>, AllowSharedMemory<32>,
                           AllowSharedMemory<64>, AllowSharedMemory<128>}) {
    const Status status = allow();
    if (!status.ok()) return status;
  }
  cudaFuncAttributes ignored;
  for (const cudaError_t error :
       {cudaFuncGetAttributes(&ignored, PlanKernel),
        cudaFuncGetAttributes(&ignored, GemvKernel<true>),
        cudaFuncGetAttributes(&ignored, GemvKernel<false>),
        cudaFuncGetAttributes(&ignored, SumKernel), cudaFuncGetAttributes(&ignored, RoundKernel)}) {
    if (error != cudaSuccess) return ToStatus(error);
  }
  return {};
}

template <int kTokens>
void LaunchGemms(const MoeSteps& steps, int processors, cudaStream_t stream) {
  using Shape = ExpertGemmShape<kTokens>;
  GemmKernel<kTokens, true><<<BlocksFor(steps.gate_up_items, processors, kGemmBlocks),
                              Shape::kThreads, Shape::kSharedBytes, stream>>>(steps.gate_up);
  GemmKernel<kTokens, false><<<BlocksFor(steps.down_items, processors, kGemmBlocks),
                               Shape::kThreads, Shape::kSharedBytes, stream>>>(steps.down);
}

void LaunchGemvs(const MoeSteps& steps, int processors, cudaStream_t stream) {
  constexpr int64_t kWarps = kGemvThreads / kWarpLanes;
  const auto blocks = [&](int64_t items) {
    return BlocksFor((items + kWarps - 1) / kWarps, processors, kGemvBlocks);
  };
  GemvKernel<true><<<blocks(steps.gate_up_items), kGemvThreads, 0, stream>>>(steps.gate_up);
  GemvKernel<false><<<blocks(steps.down_items), kGemvThreads, 0, stream>>>(steps.down);
}

void LaunchProducts(const MoeSteps& steps, const MoeTiling& tiling, int processors,
                    cudaStream_t stream) {
  switch (tiling.tokens) {
    case kGemvTokens:
      return LaunchGemvs(steps, processors, stream);
    case 8:
      return LaunchGemms<8>(steps, processors, stream);
    case 16:
      return LaunchGemms<16>(steps, processors, stream);
    case 32:
      return LaunchGemms<32>(steps, processors, stream);
    case 64:
      return LaunchGemms<64>(steps, processors, stream);
    default:
      return LaunchGemms<128>(steps, processors, stream);
  }
}

}  // namespace

Status DeviceMoe::Upload(const MoeWeights& w) {
  if (!AllBf16(w)) return {Code::kUnsupported, "moe_ffn device: weights are not all bfloat16"};
  int device = 0, major = 0;
  Status status = ToStatus(cudaGetDevice(&device));
  if (status.ok()) {
    status = ToStatus(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  }
  if (status.ok()) {
    status = ToStatus(cudaDeviceGetAttribute(&processors_, cudaDevAttrMultiProcessorCount, device));
  }
  if (status.ok()) status = PrepareKernels();
  arch_ = major >= 10 ? GpuArch::kSm100a : major == 9 ? GpuArch::kSm90a : GpuArch::kSm80;
  layout_ = LayoutOf(w);
  if (status.ok()) status = memory_.Allocate(layout_.bytes());
  if (!status.ok()) return status;
  return PackExperts(w, [this](size_t at, const void* from, size_t bytes) {
    return memory_.Write(at, from, bytes);
  });
}

Status MoeFfnOnDevice(const DeviceMoe& moe, const MoeDeviceArgs& args) {
  const ExpertLayout& layout = moe.layout();
  const Status status = CheckMoeDevice(layout, args);
  if (!status.ok() || args.rows == 0 || layout.o == 0) return status;
  const MoeSteps steps = StepsOf(layout, moe.data(), args);
  const auto stream = static_cast<cudaStream_t>(args.stream);
  if (steps.tiles.most > 0) {
    PlanKernel<<<1, kTilePlanThreads, kTilePlanSharedBytes, stream>>>(steps.tiles);
    LaunchProducts(steps, args.tiling, moe.processors(), stream);
  }
  SumKernel<<<BlocksFor(steps.sum_items, moe.processors(), kRowBlocks), kRowThreads, 0, stream>>>(
      steps.sums);
  return ToStatus(cudaGetLastError());
}

Status RoundToBf16OnDevice(const float* x, int64_t rows, int64_t width, uint16_t* y, int64_t stride,
                           void* stream) {
  if (rows < 0 || width < 0 || stride < width || stride % 8 != 0) {
    return {Code::kInvalidArgument, "round to bf16: sizes"};
  }
  if (rows * stride == 0) return {};
  constexpr int64_t kMostBlocks = 4096;  // the rest by strides
  const int64_t blocks = (rows * stride / 2 + kRowThreads - 1) / kRowThreads;
  RoundKernel<<<static_cast<unsigned>(std::min(blocks, kMostBlocks)), kRowThreads, 0,
                static_cast<cudaStream_t>(stream)>>>({x, rows, width, y, stride});
  return ToStatus(cudaGetLastError());
}

}  // namespace penstock::kernels
