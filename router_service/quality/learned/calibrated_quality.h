#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "router_service/quality/learned/feature_weighting.h"
#include "router_service/quality/learned/logit_scorer.h"
#include "router_service/quality/quality_model.h"

namespace penstock::router {

// A scorer's logits, calibrated by expert: p_i = sigma(offset_i + logit_i / tau_i), held within
// [kLeast, 1 - kLeast]; its uncertainty is the scorer's deviation carried through:
// p_i (1 - p_i) deviation_i / tau_i.
class CalibratedQuality final : public QualityModel {
 public:
  // That an expert is sure to be right or wrong no table can tell.
  static constexpr float kLeast = 0.01f;

  // The kinds of scorer, as a file's metadata "kind" names them.
  enum class Kind { kNeighbours, kHiddenLayer, kFactorised, kPrototypes };
  static const char* KindName(Kind kind);

  struct Parameters {
    std::vector<std::string> experts;
    FeatureWeighting weighting;
    std::shared_ptr<const LogitScorer> scorer;
    std::vector<float> tau, offset;   // [experts]
    std::vector<float> work_scale;    // [experts]: times it, a scorer's work is 1 in the mean
    std::vector<float> mean_quality;  // [experts]: said of a request that is unknown
    std::vector<float> mean_joules;   // [experts], 0 = not told
  };

  // What a file holds, but for the checksum.
  static void AppendTo(Kind kind, const Parameters& parameters,
                       std::vector<SafetensorsTensor>& tensors,
                       std::map<std::string, std::string>& metadata);

  static std::unique_ptr<const QualityModel> FromParameters(Parameters parameters);
  static absl::StatusOr<std::unique_ptr<const QualityModel>> FromTensors(
      Kind kind, const Safetensors& file, const std::string& path,
      const std::vector<std::string>& expert_names, size_t feature_dimension);

  size_t experts() const override { return at_.size(); }
  size_t dimension() const override { return parameters_.weighting.dense_mean.size(); }
  size_t sparse_dimension() const override { return parameters_.weighting.buckets; }
  void Predict(const FeatureView& z, const QualityPrediction& prediction) const override;
  absl::Span<const float> mean_joules() const override { return mean_joules_; }

 private:
  CalibratedQuality(Parameters parameters, std::vector<size_t> at);

  const Parameters parameters_;
  const std::vector<size_t> at_;  // where each of the pool's experts stands in the parameters
  std::vector<float> mean_joules_;
};

}  // namespace penstock::router
