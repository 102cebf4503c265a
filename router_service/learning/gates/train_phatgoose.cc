#include <cmath>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "router_service/learning/gates/gate_trainer.h"
#include "router_service/learning/linear/linear_design.h"
#include "router_service/learning/linear/minimise.h"

namespace penstock::router {
namespace {

// Steps of the published recipe: the vector only has to find the direction of the expert's
// requests.
constexpr int kSteps = 100;
constexpr double kL2 = 0.01;

// The vector of one expert: weighted mean of log(1 + e^(-v . u)) over its requests + l2/2 |v|^2, a
// logistic regression that knows its own requests and nobody else's.
std::vector<double> OneClassVector(const LinearDesign& design, absl::Span<const float> weight) {
  const size_t d = design.dimension(), rows = design.rows();
  const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
  std::vector<double> v(d, 0.0);
  if (!(total > 0)) return v;
  std::vector<float> scores, residuals(rows);
  std::vector<double> with_bias;
  Minimise(
      [&](const std::vector<double>& x, std::vector<double>& gradient) {
        with_bias.assign(x.begin(), x.end());
        with_bias.push_back(0);  // the design's bias: the gate has none
        design.Scores(with_bias, 1, scores);
        double loss = 0;
        for (size_t i = 0; i < rows; ++i) {
          const double t = scores[i], share = weight[i] / total;
          loss += share * (t > 0 ? std::log1p(std::exp(-t)) : std::log1p(std::exp(t)) - t);
          residuals[i] = static_cast<float>(-share / (1 + std::exp(t)));
        }
        design.Gradient(residuals, 1, gradient);
        gradient.resize(d);
        for (size_t j = 0; j < d; ++j) {
          loss += 0.5 * kL2 * x[j] * x[j];
          gradient[j] += kL2 * x[j];
        }
        return loss;
      },
      v, {kSteps, 1e-6});
  return v;
}

}  // namespace

absl::StatusOr<TrainedGate> TrainPhatgoose(const GateTrainingSet& set) {
  const size_t n = set.experts.size(), rows = set.rows(), d = set.dimension;
  if (d < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("phatgoose compares directions: wanted at least 2 features, got ", d));
  }
  const Standardisation standardisation = Standardisation::Of(set.features, rows, d);
  std::vector<size_t> all(rows);
  std::iota(all.begin(), all.end(), size_t{0});
  const LinearDesign design(standardisation.Apply(set.features), d, all);
  TrainedGate trained;
  SafetensorsTensor vectors{"vectors", {static_cast<int64_t>(n), static_cast<int64_t>(d)}, {}};
  for (size_t e = 0; e < n; ++e) {
    const std::vector<double> v =
        OneClassVector(design, absl::MakeConstSpan(set.targets).subspan(e * rows, rows));
    const double length = std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
    if (!(length > 0)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "phatgoose: no training row is expert \"", set.experts[e], "\"'s, wanted at least one"));
    }
    if (length < 0.05) {
      trained.warnings.push_back(absl::StrCat("phatgoose: expert \"", set.experts[e],
                                              "\" is as good everywhere: its vector has hardly a "
                                              "direction"));
    }
    vectors.values.insert(vectors.values.end(), v.begin(), v.end());
  }
  const int64_t width = static_cast<int64_t>(d);
  trained.tensors = {
      std::move(vectors),
      {"mean", {width}, {standardisation.mean.begin(), standardisation.mean.end()}},
      {"inverse_scale",
       {width},
       {standardisation.inverse_scale.begin(), standardisation.inverse_scale.end()}}};
  return trained;
}

}  // namespace penstock::router
