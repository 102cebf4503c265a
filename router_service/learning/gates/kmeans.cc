#include "router_service/learning/gates/kmeans.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "common/random.h"

namespace penstock::router {
namespace {

double Distance(absl::Span<const double> a, absl::Span<const double> b) {
  double sum = 0;
  for (size_t j = 0; j < a.size(); ++j) sum += std::abs(a[j] - b[j]);
  return sum / static_cast<double>(a.size());
}

}  // namespace

KMeansResult KMeans(absl::Span<const double> x, size_t dimension, std::vector<double> centroids,
                    const KMeansOptions& options) {
  const size_t rows = x.size() / dimension, clusters = centroids.size() / dimension;
  KMeansResult result;
  result.centroids = std::move(centroids);
  result.cluster.assign(rows, 0);
  for (size_t iteration = 0; iteration < options.max_iterations; ++iteration) {
    std::vector<double> sum(clusters * dimension, 0.0), members(clusters, 0.0);
    for (size_t row = 0; row < rows; ++row) {
      const absl::Span<const double> of_row = x.subspan(row * dimension, dimension);
      double nearest = std::numeric_limits<double>::infinity();
      for (size_t c = 0; c < clusters; ++c) {
        const double distance = Distance(
            of_row, absl::MakeConstSpan(result.centroids).subspan(c * dimension, dimension));
        if (distance < nearest) {
          nearest = distance;
          result.cluster[row] = c;
        }
      }
      members[result.cluster[row]] += 1;
      for (size_t j = 0; j < dimension; ++j) sum[result.cluster[row] * dimension + j] += of_row[j];
    }
    double moved = 0;
    for (size_t c = 0; c < clusters; ++c) {
      if (members[c] == 0) {
        result.has_empty_cluster = true;
        return result;
      }
      std::vector<double> mean(sum.begin() + static_cast<std::ptrdiff_t>(c * dimension),
                               sum.begin() + static_cast<std::ptrdiff_t>((c + 1) * dimension));
      for (double& value : mean) value /= members[c];
      const absl::Span<double> centroid =
          absl::MakeSpan(result.centroids).subspan(c * dimension, dimension);
      moved = std::max(moved, Distance(mean, centroid));
      std::copy(mean.begin(), mean.end(), centroid.begin());
    }
    if (moved < options.tolerance) {
      result.converged = true;
      return result;
    }
  }
  return result;
}

std::vector<double> SpreadCentroids(absl::Span<const double> x, size_t dimension, size_t clusters,
                                    uint64_t seed, uint64_t sequence) {
  const size_t rows = x.size() / dimension;
  CounterRandom random(seed, sequence);
  std::vector<double> centroids;
  std::vector<double> distance(rows, std::numeric_limits<double>::infinity());
  size_t row = random.Below(rows);
  while (true) {
    const absl::Span<const double> drawn = x.subspan(row * dimension, dimension);
    centroids.insert(centroids.end(), drawn.begin(), drawn.end());
    if (centroids.size() == clusters * dimension) return centroids;
    for (size_t i = 0; i < rows; ++i) {
      const double d = Distance(x.subspan(i * dimension, dimension), drawn);
      distance[i] = std::min(distance[i], d * d);
    }
    double left = random.Uniform() * std::accumulate(distance.begin(), distance.end(), 0.0);
    if (!(left > 0)) return centroids;
    for (row = 0; row + 1 < rows && (left -= distance[row]) >= 0; ++row) {
    }
  }
}

}  // namespace penstock::router
