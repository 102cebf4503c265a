#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "router_service/gating/sparse/sparse_gate.h"

namespace penstock::router {

// v minus the mean of its entries, over their standard deviation: layer normalisation without its
// affine part. All zero where the entries do not vary.
std::vector<double> StandardScores(absl::Span<const double> v);

// zn(v) . zn(u) / sqrt(d) of two vectors of StandardScores: in [-sqrt(d), sqrt(d)].
double PhatgooseScore(absl::Span<const double> v, absl::Span<const double> u);

// Logits are scores against a vector of each expert's own, so that one more expert changes nobody
// else's: Muqeeth et al. 2024, arXiv:2402.05859, per request instead of per token and module.
// Files: one of all experts with tensors "vectors" [n, d] and, where the features are to be
// standardised first, "mean" and "inverse_scale" [d]; and one an expert with "vector" [d].
class PhatgooseGate final : public SparseGate {
 public:
  static absl::StatusOr<std::unique_ptr<const Gate>> Create(
      const config::v1::Phatgoose& config, const std::vector<std::string>& expert_names,
      size_t feature_dimension);

 private:
  PhatgooseGate(size_t experts, size_t dimension, size_t k) : SparseGate(experts, dimension, k) {}

  // Expert i's standard scores from its entries; INVALID_ARGUMENT where they do not vary.
  absl::Status Register(size_t expert, const std::string& path, absl::Span<const float> vector);
  void Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
            absl::Span<double> scores) const override;

  std::vector<float> mean_, inverse_scale_;   // [d], or empty
  std::vector<std::vector<double>> vectors_;  // [experts][d], standard scores
};

}  // namespace penstock::router
