#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/tensors/safetensors.h"
#include "router_service/quality/quality_model.h"

namespace penstock::router {

// Two linear heads per expert on TF-IDF of hashed words: the probability of being right, and the
// logarithm of the answer's length.
//   x = L2(log(1 + times) * idf),  p_i = Bounded(mean_i + w_i x)
//   work_i = exp(m_i + v_i x) * s_i,  s_i such that work_i is 1 in the mean on requests not fitted on
// Its uncertainty is that of ridge regression with a diagonal Gram matrix,
//   sd(p_i) = residual_i * sqrt(sum_j x_j^2 / (sum of squares of column j + lambda)),
// which is largest for words never seen. Calibration is in the weights.
class HashedLinearQuality final : public QualityModel {
 public:
  static constexpr char kKind[] = "hashed_linear_quality";
  // A line leaves [0, 1]; that an expert is sure to be right or wrong no table can tell. Scores
  // within [kKnee, 1 - kKnee] stay as they are. Beyond, they approach kLeast and 1 - kLeast, so
  // that of two experts the one with the larger score keeps the larger probability: were both cut
  // to the same, the order of their names would decide between them.
  static constexpr double kKnee = 0.02, kLeast = 0.01;
  static float Bounded(float score);

  // What a file holds. Columns at and beyond 2^bits are those of the dense part.
  struct Parameters {
    std::vector<std::string> experts;
    size_t buckets = 0;             // of the sparse part
    std::vector<uint32_t> columns;  // ascending
    std::vector<float> idf, squares;  // [columns]
    std::vector<float> weight;        // [columns, 2 * experts]: p, then log length
    float idf_unseen = 0;
    double lambda = 1;
    std::vector<float> mean, residual;               // [experts]
    std::vector<float> length_mean, work_scale;      // [experts]
    std::vector<float> mean_quality;                 // [experts]: said of a request that is unknown
    std::vector<float> mean_joules, mean_tokens;     // [experts], 0 = not told
    std::vector<float> dense_mean, dense_scale;      // [dense features]
  };

  // Weights up to this size are kept as fp32, larger ones as int8 with a scale per column.
  static constexpr size_t kMostFloatBytes = size_t{64} << 20;
  static std::vector<SafetensorsTensor> Tensors(const Parameters& parameters,
                                                size_t most_float_bytes = kMostFloatBytes);
  // "kind", "version", "experts"; with the tensors' checksum.
  static std::map<std::string, std::string> Metadata(const Parameters& parameters,
                                                     const std::vector<SafetensorsTensor>& tensors);

  static absl::StatusOr<std::unique_ptr<const QualityModel>> FromTensors(
      const Safetensors& file, const std::string& path,
      const std::vector<std::string>& expert_names, size_t feature_dimension);
  static std::unique_ptr<const QualityModel> FromParameters(const Parameters& parameters);

  size_t experts() const override { return mean_.size(); }
  size_t dimension() const override { return dense_mean_.size(); }
  size_t sparse_dimension() const override { return buckets_; }
  void Predict(const FeatureView& z, const QualityPrediction& prediction) const override;
  absl::Span<const float> mean_joules() const override { return mean_joules_; }
  float Rarity(uint32_t index) const override {
    return index < buckets_ ? idf_[place_of_[index]] : 0;
  }

 private:
  HashedLinearQuality() = default;
  void TakeExperts(const Parameters& parameters, absl::Span<const size_t> experts);
  void AddColumn(size_t place, float value, float* heads) const;

  size_t buckets_ = 0;
  std::vector<uint32_t> place_of_;  // [buckets + dense]: place, or places_
  size_t places_ = 0;
  std::vector<float> idf_, inverse_;  // [places + 1]; inverse: 1 / (squares + lambda); last: unseen
  std::vector<float> weight_;         // [places, 2 * experts], or empty:
  std::vector<int8_t> quantised_;     // [places, 2 * experts]
  std::vector<float> quantum_;        // [places]
  std::vector<float> mean_, residual_, length_mean_, work_scale_, mean_quality_,
      mean_joules_;
  std::vector<float> dense_mean_, dense_scale_;
};

}  // namespace penstock::router
