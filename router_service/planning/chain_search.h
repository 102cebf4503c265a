#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace penstock::router {

// What every expert answered to a sample of requests, and what a scorer thought of each answer.
struct ChainSample {
  size_t experts = 0, rows = 0;
  std::vector<double> quality;  // [experts, rows]
  std::vector<double> cost;     // [experts, rows]
  std::vector<double> score;    // [experts, rows]: how sure the scorer is that the answer is right
  std::vector<double> latency_s;  // [experts], or empty
};

struct ChainStage {
  size_t expert = 0;
  // The answer stands if its score is at least this; -infinity at the last stage.
  double threshold = -std::numeric_limits<double>::infinity();
};

struct ChainFigures {
  double quality = 0, cost = 0;  // means
  std::vector<double> reached;   // [stages], shares of requests
};

struct ChainPlan {
  std::vector<ChainStage> stages;
  ChainFigures tuning, heldout;  // heldout: the tuning's where nothing was held out
  size_t evaluated = 0;          // chains with thresholds looked at
};

struct ChainSearchOptions {
  double budget = 0;                                                 // mean cost a request
  double latency_limit_s = std::numeric_limits<double>::infinity();  // of all stages, one by one
  size_t depth = 3;                                                  // at most 3
  size_t grid = 40;                                                  // thresholds tried a stage
  size_t refinements = 60;  // steps of the simplex that follows the grid
  // Chains whose tuning quality is best, looked at again on the rows held out.
  size_t finalists = 24;
};

// Which experts to ask in which order, and when to stop: the chain of at most three with the
// largest mean quality within the mean cost. After FrugalGPT (Chen, Zaharia and Zou,
// arXiv:2305.05176, 2023): stage thresholds are quantiles of the scores of the requests that reach
// the stage, their accepted shares do not fall along the chain, and a grid is refined by a simplex
// (Nelder and Mead, 1965). Chains are tuned on `tuning` and the winner is picked on `heldout`
// (which may be empty); single experts are always among the contenders. An expert that another
// beats in both means is left out of chains.
//
// FAILED_PRECONDITION if not even the cheapest expert fits.
absl::StatusOr<ChainPlan> SearchChain(const ChainSample& sample, absl::Span<const size_t> tuning,
                                      absl::Span<const size_t> heldout,
                                      const ChainSearchOptions& options);

// Asks the stages in order on `rows`; the last stage's answer always stands.
ChainFigures RunChain(const ChainSample& sample, absl::Span<const ChainStage> stages,
                      absl::Span<const size_t> rows);

}  // namespace penstock::router
