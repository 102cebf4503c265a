#pragma once

#include <memory>
#include <string>
#include <vector>

#include "router_service/features/feature_extractor.h"
#include "router_service/features/static_embeddings.h"
#include "router_service/features/text_grams.h"

namespace penstock::router {

// z of a prompt: hashed words and pairs as the sparse part (bucket -> log(1 + times)); statistics of
// its surface and the mean of static token embeddings as the dense part, if they are asked for.
class TextFeatures final : public FeatureExtractor {
 public:
  static constexpr uint32_t kBits = 18;
  static constexpr uint32_t kMaxBytes = 32768;

  static absl::StatusOr<std::unique_ptr<const FeatureExtractor>> Create(
      const config::v1::TextFeatures& config, const std::vector<config::v1::TensorSpec>& inputs);
  // Without a request around it: for training.
  static absl::StatusOr<TextFeatures> FromSettings(const config::v1::TextFeatures& config);

  size_t dimension() const override {
    return (surface_ ? SurfaceCounts::kDimension : 0) +
           (embeddings_ == nullptr ? 0 : embeddings_->dimension());
  }
  size_t sparse_dimension() const override { return size_t{1} << bits_; }
  absl::Status Extract(const FeatureRequest& request, FeatureBuffer& buffer) const override;
  absl::StatusOr<int64_t> ExtractRows(absl::Span<const Tensor> inputs, std::vector<float>& z,
                                      std::vector<uint8_t>& finite) const override;
  void ExtractText(absl::string_view text, FeatureBuffer& buffer) const;
  const TextFeatures* text() const override { return this; }

 private:
  TextFeatures(const config::v1::TextFeatures& config, std::string input,
               std::shared_ptr<const StaticEmbeddings> embeddings);

  // Overwrites the buffer from the values together.
  void ExtractValues(absl::Span<const absl::string_view> values, FeatureBuffer& buffer) const;

  const std::string input_;
  const std::string parameter_;
  const uint32_t bits_;
  const bool surface_;
  const size_t max_bytes_;
  const TextGrams grams_;
  const std::shared_ptr<const StaticEmbeddings> embeddings_;  // null: none
  const bool words_;                                          // are hashed
};

// What must agree between training and serving, as the metadata "features" of a trained file has it.
// With embeddings, their StaticEmbeddings::Checksum belongs to it.
std::string TextFeaturesMetadata(const config::v1::TextFeatures& config,
                                 absl::string_view embeddings_checksum = {});
// The same, with the checksum of what config.embeddings names.
absl::StatusOr<std::string> ReadTextFeaturesMetadata(const config::v1::TextFeatures& config);

}  // namespace penstock::router
