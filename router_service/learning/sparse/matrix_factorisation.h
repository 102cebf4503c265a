#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router_service/learning/sparse/sparse_layer.h"
#include "router_service/quality/learned/two_layer_scorer.h"

namespace penstock::router {

struct MatrixFactorisationOptions {
  size_t width = 128;
  size_t batch = 64;
  int most_epochs = 100;
  // Epochs without a better loss on the tenth of the rows that is held back.
  int patience = 5;
  // RouteLLM takes 3e-4: a third of the passes do with the larger step.
  AdamOptions adam{.rate = 1e-3, .weight_decay = 1e-5};
  uint64_t seed = 1;
};

// RouteLLM's matrix factorisation (Ong et al. 2024, arXiv:2406.18665) for any number of models:
// utility u_M(x) = w . (v_M/|v_M| * P x), no biases, P(a beats b) = sigma(u_a - u_b), fitted to all
// pairs of models of which one did better on a request. P x is of sparse text features instead of a
// bought embedding, whose noise is left out with it.
class MatrixFactorisation {
 public:
  // quality [experts, rows]; ties teach nothing.
  static MatrixFactorisation Fit(const SparseRows& x, absl::Span<const float> quality,
                                 size_t experts, absl::Span<const uint32_t> group,
                                 const MatrixFactorisationOptions& options);

  // Utilities [experts, rows]: only differences between experts mean something.
  std::vector<float> Predict(const SparseRows& x) const;
  // Of utilities less their mean over the experts, which no comparison changes.
  TwoLayerWeights weights() const;
  // Of one request against another model.
  static double WinProbability(double utility, double other_utility);
  // Multiplies an expert's vector: which changes nothing, as its direction counts alone.
  void ScaleExpert(size_t expert, float factor);

 private:
  MatrixFactorisation(size_t columns, size_t experts, const MatrixFactorisationOptions& options);
  void Utilities(const SparseRows& x, size_t row, std::vector<float>& projected,
                 std::vector<float>& utility) const;
  double Loss(const SparseRows& x, absl::Span<const float> quality,
              absl::Span<const size_t> rows) const;
  void Pass(const SparseRows& x, absl::Span<const float> quality, absl::Span<const size_t> order,
            const MatrixFactorisationOptions& options);

  size_t experts_;
  SparseLayer projection_;  // P
  AdamParameters vector_;   // v, [experts, width]
  AdamParameters mixing_;   // w, [1, width]
  int64_t step_ = 0;
};

}  // namespace penstock::router
