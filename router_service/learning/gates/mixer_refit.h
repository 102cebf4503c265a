#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "router_service/learning/gates/kmeans.h"

namespace penstock::router {

struct MixerOptions {
  KMeansOptions kmeans;
  double noise = 1e-4;  // standard deviation of what the contexts are blurred by before the fit
  double ridge = 1e-6;
  uint64_t seed = 1;
};

// A linear gate over contexts, and what its next refit starts from.
struct MixerFit {
  std::vector<double> weight;     // [experts, dimension]
  std::vector<double> bias;       // [experts]
  std::vector<double> centroids;  // [experts, dimension]
  std::vector<size_t> expert_of;  // of each cluster
  double matched_loss = 0;        // mean of the contexts, at their clusters' experts
  // The refit was given up and everything else is as before, because of this.
  bool aborted = false;
  std::string reason;
};

// Refits a gate in closed form, Nzoyem et al. 2025, arXiv:2502.05335: as many clusters of the
// contexts [rows, dimension] as there are experts, from the centroids of `before` on; each cluster
// gets an expert of its own, so that the sum of the median losses is least (equal medians: of the
// means); the weights are the least squares of that choice. losses [rows, experts], NaN = unknown.
// A cluster that is empty, or no convergence, gives the refit up.
MixerFit RefitMixer(absl::Span<const double> contexts, size_t dimension,
                    absl::Span<const double> losses, size_t experts, const MixerFit& before,
                    const MixerOptions& options);

}  // namespace penstock::router
