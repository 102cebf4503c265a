#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// Probability that each expert of a pool would be right. Immutable, thread-safe.
class QualityModel {
 public:
  virtual ~QualityModel() = default;

  virtual size_t experts() const = 0;
  // Length of the z that it reads; 0: reads none, any z will do.
  virtual size_t dimension() const = 0;
  // quality [experts], each in [0, 1]. An entry of z that is not finite gives each expert's mean.
  virtual void Predict(absl::Span<const float> z, absl::Span<float> quality) const = 0;
};

// From the pool's quality_file, else from its experts' `quality` (0.5 where unset).
absl::StatusOr<std::unique_ptr<const QualityModel>> MakeQualityModel(const config::v1::Pool& pool,
                                                                     size_t feature_dimension);

}  // namespace penstock::router
