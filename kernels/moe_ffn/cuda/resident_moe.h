#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/device/status.h"
#include "kernels/moe_ffn/cuda/device_moe.h"
#include "kernels/moe_ffn/moe_ffn.h"

namespace penstock::kernels {

class ResidentSession;

// moe_ffn of bfloat16 experts that stay on a device, for callers whose rows are on the host.
// Several threads may call Run at once: each call has a session of its own, a stream with memory on
// the device and page-locked memory on the host, and sessions are used again. So there are as many
// as calls ever ran at once, each as large as its largest call, and once that size was met nothing
// is allocated. A shape that a session meets again is captured as a CUDA graph and replayed from
// then on; one that cannot be captured goes on being launched step by step.
class ResidentMoe {
 public:
  ResidentMoe();
  ~ResidentMoe();
  ResidentMoe(const ResidentMoe&) = delete;
  ResidentMoe& operator=(const ResidentMoe&) = delete;

  // To the current device, before the first Run. kUnsupported unless AllBf16(), or without CUDA;
  // kDeviceError where the device has no room.
  Status Upload(const MoeWeights& w);

  // MoeFfn, x rounded to bfloat16. args.w is what was uploaded; the workspace is wanted as it is of
  // MoeFfn, and not used. Returns once y is there.
  Status Run(const MoeFfnArgs& args);

  // Of the device, without the sessions'.
  size_t weight_bytes() const { return moe_.layout().bytes(); }

 private:
  std::unique_ptr<ResidentSession> Take();
  void Return(std::unique_ptr<ResidentSession> session);

  DeviceMoe moe_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<ResidentSession>> idle_;  // the one that ran last at the end
};

}  // namespace penstock::kernels
