#pragma once

#include <cstddef>
#include <memory>

#include "kernels/device/device_buffer.h"
#include "kernels/device/recent_uses.h"
#include "kernels/device/status.h"
#include "kernels/moe_ffn/cuda/device_moe.h"
#include "kernels/moe_ffn/cuda/moe_staging.h"
#include "kernels/moe_ffn/moe_ffn.h"

namespace penstock::kernels {

// One caller's way to weights on the device, for one call at a time: see ResidentMoe. Handles are
// void pointers, so that nobody needs CUDA's headers to own one.
class ResidentSession {
 public:
  // Shapes that are remembered, and so graphs.
  static constexpr size_t kMostShapes = 16;

  ResidentSession() = default;
  ~ResidentSession();
  ResidentSession(const ResidentSession&) = delete;
  ResidentSession& operator=(const ResidentSession&) = delete;

  // args as CheckMoeFfn wants them, with rows and outputs. After an error the session is no good.
  Status Run(const DeviceMoe& moe, const MoeFfnArgs& args);

 private:
  struct DestroyGraph {
    void operator()(void* graph) const;  // cudaGraphExec_t
  };
  struct FreeHost {
    void operator()(char* memory) const;
  };
  using Graph = std::unique_ptr<void, DestroyGraph>;
  // Of a shape that was met.
  struct Remembered {
    Graph graph;           // null: met once, or
    bool captures = true;  // it cannot be captured
  };

  Status Open();
  // Room for a call. What is there is let go of, with the graphs that know its place.
  Status Reserve(const MoeStaging& at);
  void CopyIn(const MoeFfnArgs& args, const MoeStaging& at, const MoeCallShape& shape,
              const ExpertLayout& layout);
  Status Enqueue(const DeviceMoe& moe, const MoeCallShape& shape, const MoeStaging& at);
  // Enqueued as one graph, made of the calls of Enqueue.
  Status Capture(const DeviceMoe& moe, const MoeCallShape& shape, const MoeStaging& at,
                 Graph& graph);
  Status Launch(const DeviceMoe& moe, const MoeCallShape& shape, const MoeStaging& at);

  void* stream_ = nullptr;  // cudaStream_t
  DeviceBuffer device_;
  std::unique_ptr<char, FreeHost> host_;  // page-locked
  size_t host_bytes_ = 0;
  RecentUses<MoeCallShape, Remembered> shapes_{kMostShapes};
};

}  // namespace penstock::kernels
