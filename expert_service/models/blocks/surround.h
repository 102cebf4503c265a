#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "expert_service/models/block_tensors.h"

namespace penstock::expert {

// What a block may have around it: its input normalised, and its input added to what it gives.
class Surround {
 public:
  Surround() = default;
  // Tensor norm [d] where `norm`.
  static absl::StatusOr<Surround> Read(bool norm, bool residual, BlockTensors& tensors, int64_t d);

  bool residual() const { return residual_; }
  // Scratch that Normed wants.
  int64_t Floats(int64_t rows, int64_t d) const { return norm_.empty() ? 0 : rows * d; }
  // rms_norm(x) in `scratch`, or x itself.
  absl::StatusOr<const float*> Normed(const float* x, int64_t rows, int64_t d,
                                      float* scratch) const;
  // y += x where `residual`.
  void Add(const float* x, int64_t count, float* y) const;
  double Flops(int64_t rows, int64_t d) const;
  size_t bytes() const { return norm_.size() * sizeof(float); }

 private:
  std::vector<float> norm_;  // empty: none
  bool residual_ = false;
};

}  // namespace penstock::expert
