#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/tensors/tensor.h"
#include "penstock/config/v1/model.pb.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/features/feature_view.h"

namespace penstock::router {

class TextFeatures;

// Request -> vector z, in a dense part (what gates read) and a sparse one. Immutable, thread-safe.
class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;

  // Length of z's dense part; 0 where it has none.
  virtual size_t dimension() const = 0;
  // Length of the sparse part, indices lie below it; 0 where it has none.
  virtual size_t sparse_dimension() const { return 0; }

  // One z for the whole request; overwrites `buffer`. INVALID_ARGUMENT names the input that is
  // missing, of the wrong type or of the wrong shape.
  virtual absl::Status Extract(const FeatureRequest& request, FeatureBuffer& buffer) const = 0;

  // The dense part per row of the leading dimension: `z` becomes [rows, dimension()]. A row with an entry
  // that is not finite has finite[row] = 0. Returns rows.
  virtual absl::StatusOr<int64_t> ExtractRows(absl::Span<const Tensor> inputs,
                                              std::vector<float>& z,
                                              std::vector<uint8_t>& finite) const = 0;

  // What reads a prompt by itself; null: no prompts are read.
  virtual const TextFeatures* text() const { return nullptr; }
};

// `inputs` is the pool's contract (shapes without the row dimension). No kind set: no features.
// INVALID_ARGUMENT for a tensor that the contract lacks or has with another type, and for parameters
// out of range.
absl::StatusOr<std::unique_ptr<const FeatureExtractor>> MakeFeatureExtractor(
    const config::v1::Features& config, const std::vector<config::v1::TensorSpec>& inputs);

// What must agree between training and serving, as the metadata "features" of a trained file has it.
std::string FeaturesMetadata(const config::v1::Features& config);

}  // namespace penstock::router
