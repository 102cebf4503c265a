#include "router_service/learning/gates/mixer_refit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "router_service/learning/gates/assignment.h"
#include "router_service/learning/gates/least_squares.h"

namespace penstock::router {
namespace {

// Small against any difference of medians that matters, and decides where outcomes are right or
// wrong and all medians are alike.
constexpr double kMeanShare = 1e-3;

double Median(std::vector<double> values) {
  const size_t middle = values.size() / 2;
  std::sort(values.begin(), values.end());
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

// Cost of giving an expert to a cluster [experts, experts].
std::vector<double> ClusterCosts(absl::Span<const size_t> cluster, absl::Span<const double> losses,
                                 size_t experts) {
  double worst = 0;
  for (const double loss : losses) worst = std::isnan(loss) ? worst : std::max(worst, loss);
  std::vector<double> cost(experts * experts);
  for (size_t c = 0; c < experts; ++c) {
    for (size_t e = 0; e < experts; ++e) {
      std::vector<double> known;
      for (size_t row = 0; row < cluster.size(); ++row) {
        const double loss = losses[row * experts + e];
        if (cluster[row] == c && !std::isnan(loss)) known.push_back(loss);
      }
      if (known.empty()) known.push_back(worst);  // nothing speaks for the pair
      const double mean =
          std::accumulate(known.begin(), known.end(), 0.0) / static_cast<double>(known.size());
      cost[c * experts + e] = Median(std::move(known)) + kMeanShare * mean;
    }
  }
  return cost;
}

// Box and Muller 1958.
double Normal(CounterRandom& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.Uniform()));
  return radius * std::cos(2 * M_PI * random.Uniform());
}

MixerFit Aborted(MixerFit before, std::string reason) {
  before.aborted = true;
  before.reason = std::move(reason);
  return before;
}

}  // namespace

MixerFit RefitMixer(absl::Span<const double> contexts, size_t dimension,
                    absl::Span<const double> losses, size_t experts, const MixerFit& before,
                    const MixerOptions& options) {
  const size_t rows = contexts.size() / dimension, columns = dimension + 1;
  const KMeansResult clusters = KMeans(contexts, dimension, before.centroids, options.kmeans);
  if (clusters.has_empty_cluster) return Aborted(before, "a cluster has no context");
  if (!clusters.converged) {
    return Aborted(before, absl::StrCat("the clusters still move after ",
                                        options.kmeans.max_iterations, " rounds"));
  }
  MixerFit fit;
  fit.centroids = clusters.centroids;
  fit.expert_of = CheapestAssignment(ClusterCosts(clusters.cluster, losses, experts), experts);
  CounterRandom random(options.seed, 0);
  std::vector<double> x(rows * columns), y(rows * experts, 0.0);
  double known = 0;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t j = 0; j < dimension; ++j) {
      x[row * columns + j] = contexts[row * dimension + j] + options.noise * Normal(random);
    }
    x[row * columns + dimension] = 1;
    const size_t at = row * experts + fit.expert_of[clusters.cluster[row]];
    y[at] = 1;
    if (std::isnan(losses[at])) continue;
    fit.matched_loss += losses[at];
    known += 1;
  }
  if (known > 0) fit.matched_loss /= known;
  const std::vector<double> w = RidgeLeastSquares(x, columns, y, experts, options.ridge);
  for (size_t e = 0; e < experts; ++e) {
    for (size_t j = 0; j < dimension; ++j) fit.weight.push_back(w[j * experts + e]);
    fit.bias.push_back(w[dimension * experts + e]);
  }
  return fit;
}

}  // namespace penstock::router
