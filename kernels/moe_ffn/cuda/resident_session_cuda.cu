#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>

#include "kernels/device/cuda_status.cuh"
#include "kernels/moe_ffn/cuda/resident_session.h"

namespace penstock::kernels {
namespace {

cudaStream_t StreamOf(void* stream) { return static_cast<cudaStream_t>(stream); }

}  // namespace

void ResidentSession::DestroyGraph::operator()(void* graph) const {
  static_cast<void>(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)));
}

void ResidentSession::FreeHost::operator()(char* memory) const {
  static_cast<void>(cudaFreeHost(memory));
}

ResidentSession::~ResidentSession() {
  if (stream_ == nullptr) return;
  // After an error copies may still be under way to memory that goes now.
  static_cast<void>(cudaStreamSynchronize(StreamOf(stream_)));
  static_cast<void>(cudaStreamDestroy(StreamOf(stream_)));
}

Status ResidentSession::Open() {
  if (stream_ != nullptr) return {};
  cudaStream_t stream = nullptr;
  const Status status = ToStatus(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  stream_ = stream;
  return status;
}

Status ResidentSession::Reserve(const MoeStaging& at) {
  if (at.bytes <= device_.bytes() && at.mirrored <= host_bytes_) return {};
  shapes_.Clear();
  host_.reset();
  host_bytes_ = 0;
  Status status = device_.Allocate(std::max(at.bytes, device_.bytes()));
  if (!status.ok()) return status;
  void* host = nullptr;
  status = ToStatus(cudaMallocHost(&host, at.mirrored));
  if (!status.ok()) return status;
  host_.reset(static_cast<char*>(host));
  host_bytes_ = at.mirrored;
  return {};
}

void ResidentSession::CopyIn(const MoeFfnArgs& args, const MoeStaging& at,
                             const MoeCallShape& shape, const ExpertLayout& layout) {
  const auto put = [this](size_t to, const void* from, int64_t count) {
    if (count > 0) std::memcpy(host_.get() + to, from, static_cast<size_t>(count) * 4);
  };
  const int64_t slots = shape.rows * shape.k;
  put(at.offsets, args.plan.offsets, layout.experts + 1);
  put(at.src, args.plan.src, slots);
  put(at.dst, args.plan.dst, slots);
  put(at.weights, args.weights, slots);
  put(at.x, args.x, shape.rows * layout.d);
  if (shape.residual) put(at.residual, args.residual, shape.rows * layout.o);
}

Status ResidentSession::Enqueue(const DeviceMoe& moe, const MoeCallShape& shape,
                                const MoeStaging& at) {
  const ExpertLayout& layout = moe.layout();
  auto* device = static_cast<char*>(device_.data());
  const auto stream = StreamOf(stream_);
  Status status =
      ToStatus(cudaMemcpyAsync(device, host_.get(), at.given, cudaMemcpyHostToDevice, stream));
  if (!status.ok()) return status;

  MoeDeviceArgs args;
  args.rows = shape.rows;
  args.k = shape.k;
  args.offsets = reinterpret_cast<const int32_t*>(device + at.offsets);
  args.src = reinterpret_cast<const int32_t*>(device + at.src);
  args.dst = reinterpret_cast<const int32_t*>(device + at.dst);
  args.weights = reinterpret_cast<const float*>(device + at.weights);
  auto* rounded = reinterpret_cast<uint16_t*>(device + at.rounded);
  args.x = rounded;
  args.x_stride = layout.d_stride();
  if (shape.residual) args.residual = reinterpret_cast<const float*>(device + at.residual);
  args.y = reinterpret_cast<float*>(device + at.y);
  args.workspace = device + at.workspace;
  args.workspace_bytes = at.workspace_bytes;
  args.tiling = shape.tiling;
  args.stream = stream_;
  status = RoundToBf16OnDevice(reinterpret_cast<const float*>(device + at.x), shape.rows, layout.d,
                               rounded, args.x_stride, stream_);
  if (status.ok()) status = MoeFfnOnDevice(moe, args);
  if (!status.ok()) return status;
  return ToStatus(cudaMemcpyAsync(host_.get() + at.y, device + at.y,
                                  static_cast<size_t>(shape.rows * layout.o) * sizeof(float),
                                  cudaMemcpyDeviceToHost, stream));
}

Status ResidentSession::Capture(const DeviceMoe& moe, const MoeCallShape& shape,
                                const MoeStaging& at, Graph& graph) {
  const auto stream = StreamOf(stream_);
  // Of this thread alone: another session may allocate meanwhile.
  Status status = ToStatus(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  if (!status.ok()) return status;
  status = Enqueue(moe, shape, at);
  cudaGraph_t captured = nullptr;  // ended in any case, or the stream stays a capture's
  const Status ended = ToStatus(cudaStreamEndCapture(stream, &captured));
  if (status.ok()) status = ended;
  cudaGraphExec_t replay = nullptr;
  if (status.ok()) status = ToStatus(cudaGraphInstantiate(&replay, captured, 0));
  if (captured != nullptr) static_cast<void>(cudaGraphDestroy(captured));
  if (status.ok()) graph.reset(replay);
  return status;
}

Status ResidentSession::Launch(const DeviceMoe& moe, const MoeCallShape& shape,
                               const MoeStaging& at) {
  Remembered* known = shapes_.Find(shape);
  if (known == nullptr) {
    // Most shapes of an odd load come once: a graph costs more than it saves there.
    shapes_.Add(shape, {});
    return Enqueue(moe, shape, at);
  }
  if (known->graph == nullptr && known->captures) {
    known->captures = Capture(moe, shape, at, known->graph).ok();
  }
  if (known->graph == nullptr) return Enqueue(moe, shape, at);
  return ToStatus(
      cudaGraphLaunch(static_cast<cudaGraphExec_t>(known->graph.get()), StreamOf(stream_)));
}

Status ResidentSession::Run(const DeviceMoe& moe, const MoeFfnArgs& args) {
  const ExpertLayout& layout = moe.layout();
  const MoeCallShape shape = {args.rows, args.k, args.residual != nullptr,
                              TilingOf(layout, args.plan.offsets, moe.arch())};
  const MoeStaging at = StagingOf(layout, shape);
  Status status = Open();
  if (status.ok()) status = Reserve(at);
  if (!status.ok()) return status;
  CopyIn(args, at, shape, layout);
  status = Launch(moe, shape, at);
  if (status.ok()) status = ToStatus(cudaStreamSynchronize(StreamOf(stream_)));
  if (!status.ok()) return status;
  std::memcpy(args.y, host_.get() + at.y,
              static_cast<size_t>(shape.rows * layout.o) * sizeof(float));
  return {};
}

}  // namespace penstock::kernels
