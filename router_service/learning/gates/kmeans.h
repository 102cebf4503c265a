#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

struct KMeansOptions {
  size_t max_iterations = 20;
  double tolerance = 1e-4;  // of a centroid's mean absolute move
};

struct KMeansResult {
  std::vector<double> centroids;  // [clusters, dimension]
  std::vector<size_t> cluster;    // [rows]
  bool converged = false;
  bool has_empty_cluster = false;
};

// Lloyd's iteration on x [rows, dimension] from given centroids: to the nearest by mean absolute
// difference (ties to the lower index), centroids to the means, until none moves by more than the
// tolerance. Stops at once when a cluster is empty.
KMeansResult KMeans(absl::Span<const double> x, size_t dimension, std::vector<double> centroids,
                    const KMeansOptions& options);

// Rows to start from, drawn one by one with a probability that grows with the distance from those
// drawn before: Arthur and Vassilvitskii 2007, k-means++. As many clusters as there are different
// rows, at most.
std::vector<double> SpreadCentroids(absl::Span<const double> x, size_t dimension, size_t clusters,
                                    uint64_t seed, uint64_t sequence);

}  // namespace penstock::router
