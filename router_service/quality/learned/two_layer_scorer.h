#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/quality/learned/logit_scorer.h"

namespace penstock::router {

// h = x W + b, rectified or not; logit_e = o_e . (h, 1).
struct TwoLayerWeights {
  size_t hidden = 0;
  bool rectified = false;
  std::vector<float> input;   // [columns, hidden]
  std::vector<float> bias;    // [hidden]
  std::vector<float> output;  // [experts, hidden + 1], the constant last
};

// One hidden layer of rectified units (the MLP router of RouterBench, arXiv:2403.12031), or a
// matrix factorisation (RouteLLM, arXiv:2406.18665, for n experts: o_e is the expert's vector and h
// the request's). The deviation of a logit is that of a Bayesian last layer (Riquelme et al. 2018,
// arXiv:1802.09127), by Laplace's approximation at the expert's mean:
//   var logit_e = g^T G g / curvature_e,  g = (h, 1),  G = (sum over the rows g g^T + 1)^-1,
//   curvature_e = q_e (1 - q_e) * share of the rows that tell of e.
// Beside it a line says how long the answer will be, as HashedLinearQuality's does.
class TwoLayerScorer final : public LogitScorer {
 public:
  struct Parameters {
    TwoLayerWeights weights;
    std::vector<float> covariance;  // G, [hidden + 1, hidden + 1]
    std::vector<float> curvature;   // [experts]
    // Logarithm of the answer's length, length_mean_e + x length_e; empty: not known.
    std::vector<float> length;       // [columns, experts]
    std::vector<float> length_mean;  // [experts]
  };

  explicit TwoLayerScorer(Parameters parameters) : parameters_(std::move(parameters)) {}
  // `columns`: of the rows that it will read.
  static absl::StatusOr<std::unique_ptr<const LogitScorer>> FromTensors(const Safetensors& file,
                                                                        const std::string& path,
                                                                        size_t columns,
                                                                        size_t experts,
                                                                        bool rectified);

  // (h, 1) of a row.
  static void Hidden(const TwoLayerWeights& weights, absl::Span<const uint32_t> columns,
                     absl::Span<const float> values, std::vector<float>& hidden);

  size_t experts() const override { return parameters_.curvature.size(); }
  void Score(absl::Span<const uint32_t> columns, absl::Span<const float> values,
             LogitScores& scores) const override;
  void AppendTo(std::vector<SafetensorsTensor>& tensors,
                std::map<std::string, std::string>& metadata) const override;

 private:
  const Parameters parameters_;
};

}  // namespace penstock::router
