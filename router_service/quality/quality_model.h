#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/features/feature_view.h"

namespace penstock::router {

// What a model says of one request, an entry per expert. A span that is empty is not asked for.
struct QualityPrediction {
  QualityPrediction(absl::Span<float> of_quality)  // NOLINT: quality alone
      : quality(of_quality) {}
  QualityPrediction(absl::Span<float> of_quality, absl::Span<float> of_uncertainty,
                    absl::Span<float> of_work)
      : quality(of_quality), uncertainty(of_uncertainty), work(of_work) {}

  absl::Span<float> quality;  // in [0, 1]
  // Standard deviation of `quality` as an estimate of the probability, in [0, 0.5]; that of the
  // answer itself is not in it. 0 where the model does not know.
  absl::Span<float> uncertainty;
  // Expected work of the answer over that of the expert's mean answer (a generative expert's output
  // tokens), above 0 and 1 in the mean over requests. 1 where the model does not know.
  absl::Span<float> work;
};

// What each expert of a pool would make of a request: the probability of being right, and where a
// model learnt it, how much work the answer is. Immutable, thread-safe; allocates nothing when warm.
class QualityModel {
 public:
  virtual ~QualityModel() = default;

  virtual size_t experts() const = 0;
  // Length of the dense z that it reads; 0: reads none, any z will do.
  virtual size_t dimension() const = 0;
  // Length of the sparse z that it reads; 0: reads none.
  virtual size_t sparse_dimension() const { return 0; }
  // A z that is unknown, or has an entry that is not finite, gives each expert's mean.
  virtual void Predict(const FeatureView& z, const QualityPrediction& prediction) const = 0;
  // Joules of each expert's mean answer where the training table told them (0: not told); empty:
  // told of nobody. What an expert is believed to cost where neither it nor the configuration says.
  virtual absl::Span<const float> mean_joules() const { return {}; }
  // How rare a column of the sparse part is among the prompts that it was trained on: inverse document
  // frequency. 0: not known.
  virtual float Rarity(uint32_t index) const {
    static_cast<void>(index);
    return 0;
  }
  // What is odd about it, for who loads it.
  virtual absl::Span<const std::string> warnings() const { return {}; }

 protected:
  // For models that know neither.
  static void FillUnknown(const QualityPrediction& prediction) {
    std::fill(prediction.uncertainty.begin(), prediction.uncertainty.end(), 0.0f);
    std::fill(prediction.work.begin(), prediction.work.end(), 1.0f);
  }
};

// From the pool's quality_file, else from its experts' `quality` (0.5 where unset); experts that the
// file does not know from the pool's cards_file. The file's metadata "kind" says which model it
// holds; INVALID_ARGUMENT where it was trained on other features than the pool's. `feature_dimension`: of the dense part.
absl::StatusOr<std::unique_ptr<const QualityModel>> MakeQualityModel(const config::v1::Pool& pool,
                                                                     size_t feature_dimension);

}  // namespace penstock::router
