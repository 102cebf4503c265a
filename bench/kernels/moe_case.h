#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/moe_ffn/moe_ffn.h"

namespace penstock::kernels {

// A mixture of experts larger than the last-level cache, every expert with the same number of rows,
// random weights and inputs.
struct MoeShape {
  int64_t experts = 16;
  int64_t d = 2048;
  int64_t f = 1024;
};

class MoeCase {
 public:
  MoeCase(const MoeShape& shape, WeightFormat format, int64_t group);

  // Sets the batch to so many rows an expert.
  void SetRows(int64_t rows_per_expert);
  Status Run(const MoeFfnImpl& impl);
  // Relative Frobenius error of `impl` against the float64 reference on a batch of few rows.
  double Error(const MoeFfnImpl& impl);

  double flops() const;
  // Weights as they are stored, inputs read and outputs written once.
  double bytes() const;
  int64_t rows() const { return rows_; }

 private:
  MoeShape shape_;
  PackedMoe moe_;
  int64_t rows_ = 0;
  std::vector<float> x_, y_, weights_;
  std::vector<int32_t> ids_, counts_, offsets_, src_, dst_;
  std::vector<char> workspace_;
};

}  // namespace penstock::kernels
