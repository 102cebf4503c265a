#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "expert_service/models/block_tensors.h"
#include "kernels/device/workspace.h"
#include "kernels/linear/linear.h"

namespace penstock::expert {

// How what heads read out of their states leaves a block: y = Wo (rms_norm(o) * silu(Wg n)), the
// norm within each head; without a gate y = Wo rms_norm(o).
class GatedReadout {
 public:
  // Tensors out [d, d_v], out_norm [d_v/heads]; gate [d_v, d] where `gated`.
  static absl::StatusOr<GatedReadout> Read(BlockTensors& tensors, int64_t d, int64_t d_v,
                                           int64_t heads, bool gated);

  // n [rows, d], o [rows, d_v], y [rows, d]; o is normalised in place.
  absl::Status Run(const float* n, int64_t rows, float* o, float* y,
                   kernels::Workspace scratch) const;
  size_t WorkspaceBytes(int64_t rows) const;
  double Flops(int64_t rows) const;
  size_t bytes() const;

 private:
  int64_t HeadDim() const { return static_cast<int64_t>(norm_.size()); }
  int64_t Heads() const { return out_.weights().in / HeadDim(); }

  std::vector<float> norm_;
  std::optional<kernels::PackedLinear> gate_;
  kernels::PackedLinear out_;
};

}  // namespace penstock::expert
