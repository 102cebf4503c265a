#include "router_service/features/feature_extractor.h"
#include "router_service/features/tensor_pooling.h"
#include "router_service/features/text_features.h"

namespace penstock::router {
namespace {

// z is empty: gates without features, quality from the configuration.
class NoFeatures final : public FeatureExtractor {
 public:
  size_t dimension() const override { return 0; }
  absl::Status Extract(const FeatureRequest& request, FeatureBuffer& buffer) const override {
    buffer.Clear();
    return absl::OkStatus();
  }
  absl::StatusOr<int64_t> ExtractRows(absl::Span<const Tensor> inputs, std::vector<float>& z,
                                      std::vector<uint8_t>& finite) const override {
    if (inputs.empty() || inputs[0].shape.empty()) {
      return absl::InvalidArgumentError("the first input has no rows");
    }
    z.clear();
    finite.assign(static_cast<size_t>(inputs[0].shape[0]), 1);
    return inputs[0].shape[0];
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<const FeatureExtractor>> MakeFeatureExtractor(
    const config::v1::Features& config, const std::vector<config::v1::TensorSpec>& inputs) {
  switch (config.kind_case()) {
    case config::v1::Features::kTensorPooling:
      return TensorPooling::Create(config.tensor_pooling(), inputs);
    case config::v1::Features::kText:
      return TextFeatures::Create(config.text(), inputs);
    case config::v1::Features::kNone:
    case config::v1::Features::KIND_NOT_SET:
      return std::make_unique<const NoFeatures>();
  }
  return absl::InvalidArgumentError("features: unknown kind");
}

std::string FeaturesMetadata(const config::v1::Features& config) {
  switch (config.kind_case()) {
    case config::v1::Features::kTensorPooling:
      return "tensor_pooling";
    case config::v1::Features::kText:
      return TextFeaturesMetadata(config.text());
    case config::v1::Features::kNone:
    case config::v1::Features::KIND_NOT_SET:
      break;
  }
  return "none";
}

}  // namespace penstock::router
