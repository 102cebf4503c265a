#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "router_service/learning/gates/gate_trainer.h"
#include "router_service/learning/gates/mixer_refit.h"
#include "router_service/learning/linear/linear_design.h"

namespace penstock::router {

// Every training row is a context. Several starts, of which the one with the least loss at the
// matched experts counts: there is no earlier gate that a refit could keep.
absl::StatusOr<TrainedGate> TrainMixer(const GateTrainingSet& set) {
  constexpr uint64_t kStarts = 8;
  const size_t n = set.experts.size(), rows = set.rows(), d = set.dimension;
  if (d == 0) {
    return absl::InvalidArgumentError("mixer clusters requests: wanted at least 1 feature, got 0");
  }
  const Standardisation standardisation = Standardisation::Of(set.features, rows, d);
  const std::vector<float> standard = standardisation.Apply(set.features);
  const std::vector<double> contexts(standard.begin(), standard.end());
  std::vector<double> losses(rows * n, std::numeric_limits<double>::quiet_NaN());
  for (size_t row = 0; row < rows; ++row) {
    double most = 0;
    for (size_t e = 0; e < n; ++e) most = std::max<double>(most, set.targets[e * rows + row]);
    for (size_t e = 0; e < n; ++e) {
      const size_t at = e * rows + row;
      if (most > 0 && !std::isnan(set.quality[at]))
        losses[row * n + e] = 1 - set.targets[at] / most;
    }
  }
  MixerOptions options;
  options.seed = set.seed;
  options.kmeans.max_iterations = 300;  // rows are many more than the contexts of one refit online
  MixerFit best;
  best.aborted = true;
  for (uint64_t start = 0; start < kStarts; ++start) {
    MixerFit before;
    before.centroids = SpreadCentroids(contexts, d, n, set.seed, 300 + start);
    if (before.centroids.size() < n * d) {
      return absl::FailedPreconditionError(
          absl::StrCat("mixer: the training rows hold fewer different features than there are "
                       "experts, wanted at least ",
                       n));
    }
    MixerFit fit = RefitMixer(contexts, d, losses, n, before, options);
    if (fit.aborted) {
      if (best.aborted) best.reason = fit.reason;
    } else if (best.aborted || fit.matched_loss < best.matched_loss) {
      best = std::move(fit);
    }
  }
  if (best.aborted) {
    return absl::FailedPreconditionError(absl::StrCat(
        "mixer: all ", kStarts, " starts were given up, the last because ", best.reason));
  }
  SafetensorsTensor weight{"weight", {static_cast<int64_t>(n), static_cast<int64_t>(d)}, {}};
  SafetensorsTensor bias{"bias", {static_cast<int64_t>(n)}, {}};
  for (size_t e = 0; e < n; ++e) {
    const auto first = best.weight.begin() + static_cast<std::ptrdiff_t>(e * d);
    std::vector<double> of_expert(first, first + static_cast<std::ptrdiff_t>(d));
    double shift = best.bias[e];
    standardisation.Fold(absl::MakeSpan(of_expert), shift);
    weight.values.insert(weight.values.end(), of_expert.begin(), of_expert.end());
    bias.values.push_back(static_cast<float>(shift));
  }
  TrainedGate trained;
  trained.tensors = {std::move(weight), std::move(bias)};
  return trained;
}

}  // namespace penstock::router
