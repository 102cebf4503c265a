#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router_service/features/sparse_rows.h"

namespace penstock::router {

// Adam (Kingma and Ba 2015) on parameters of which a batch touches few: moments of the others stand
// still, as in the sparse variants of the usual frameworks. Decoupled weight decay (Loshchilov and
// Hutter 2019) on what is touched.
struct AdamOptions {
  double rate = 1e-3;
  double weight_decay = 0;
};

class AdamParameters {
 public:
  AdamParameters(size_t rows, size_t width)
      : value(rows * width),
        gradient(rows * width),
        width_(width),
        first_(rows * width),
        second_(rows * width) {}

  size_t width() const { return width_; }
  // One step of row `row` along its gradient, which is cleared. `step` counts from 1.
  void Update(size_t row, int64_t step, const AdamOptions& options);

  std::vector<float> value;     // [rows, width]
  std::vector<float> gradient;  // [rows, width]

 private:
  size_t width_;
  std::vector<float> first_, second_;  // moments
};

// x W for sparse x: [columns, width] parameters of which a row uses those of its columns.
class SparseLayer {
 public:
  SparseLayer(size_t columns, size_t width) : parameters_(columns, width), touched_(columns, 0) {}

  AdamParameters& parameters() { return parameters_; }
  const AdamParameters& parameters() const { return parameters_; }
  // Adds to `out` [width].
  void Forward(const SparseRows& x, size_t row, absl::Span<float> out) const;
  void Backward(const SparseRows& x, size_t row, absl::Span<const float> gradient);
  // Applies what Backward gathered since the last step.
  void Step(int64_t step, const AdamOptions& options);

 private:
  AdamParameters parameters_;
  std::vector<uint8_t> touched_;
  std::vector<uint32_t> list_;  // columns touched
};

}  // namespace penstock::router
