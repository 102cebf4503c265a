#pragma once

#include <string>
#include <vector>

#include "router_service/features/feature_extractor.h"

namespace penstock::router {

// z = the named numeric input, mean over all leading dimensions, then average-pooled in `cells`
// equal runs of its last dimension.
class TensorPooling final : public FeatureExtractor {
 public:
  static absl::StatusOr<std::unique_ptr<const FeatureExtractor>> Create(
      const config::v1::TensorPooling& config, const std::vector<config::v1::TensorSpec>& inputs);

  size_t dimension() const override { return cells_; }
  absl::Status Extract(const FeatureRequest& request, FeatureBuffer& buffer) const override;
  absl::StatusOr<int64_t> ExtractRows(absl::Span<const Tensor> inputs, std::vector<float>& z,
                                      std::vector<uint8_t>& finite) const override;

 private:
  TensorPooling(std::string input, size_t width, size_t cells, size_t row_width)
      : input_(std::move(input)), width_(width), cells_(cells), row_width_(row_width) {}

  absl::StatusOr<const Tensor*> Find(absl::Span<const Tensor> inputs) const;
  void Pool(absl::Span<const float> values, absl::Span<float> z) const;

  const std::string input_;
  const size_t width_;  // last dimension
  const size_t cells_;
  const size_t row_width_;  // values of one row of the batch; 0: it varies
};

}  // namespace penstock::router
