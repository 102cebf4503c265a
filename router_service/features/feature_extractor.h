#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/tensors/tensor.h"
#include "penstock/config/v1/model.pb.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// Request -> vector z. Immutable, thread-safe.
class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;

  // Length of z; 0 where nothing is read from the request.
  virtual size_t dimension() const = 0;

  // One z for the whole request. `z` has dimension() entries. `finite` tells whether all of them
  // are finite: if not, gates and quality models must not see them (the caller's guard path).
  // INVALID_ARGUMENT names the input that is missing, not numeric or of the wrong shape.
  virtual absl::Status Extract(absl::Span<const Tensor> inputs, absl::Span<float> z,
                               bool& finite) const = 0;

  // One z per row of the leading dimension: `z` becomes [rows, dimension()]. A row with an entry
  // that is not finite has finite[row] = 0. Returns rows.
  virtual absl::StatusOr<int64_t> ExtractRows(absl::Span<const Tensor> inputs,
                                              std::vector<float>& z,
                                              std::vector<uint8_t>& finite) const = 0;
};

// `inputs` is the pool's contract (shapes without the row dimension). No kind set: no features.
// INVALID_ARGUMENT for a tensor that the contract lacks, and for cells that do not divide its last
// dimension.
absl::StatusOr<std::unique_ptr<const FeatureExtractor>> MakeFeatureExtractor(
    const config::v1::Features& config, const std::vector<config::v1::TensorSpec>& inputs);

}  // namespace penstock::router
