#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace penstock::router {

// What accepting costs one point once the threshold lies below `threshold`.
struct LossStep {
  double threshold = 0;
  double loss = 0;  // in [0, RiskTarget::loss_bound]
};
// One calibration point's loss as the threshold comes down from +infinity, where everything is
// escalated and nothing lost: 0 above the first step, thresholds descending.
using LossCurve = std::vector<LossStep>;

struct RiskTarget {
  double alpha = 0;  // in (0, loss_bound]: most that a new point may lose in expectation
  double loss_bound = 1;
};

struct ConformalThreshold {
  // Accept iff score > threshold. +infinity: never, because the points are too few for alpha;
  // -infinity: always.
  double threshold = std::numeric_limits<double>::infinity();
  // Mean over the points there of the largest loss at any threshold from it upwards.
  double risk = 0;

  bool always_escalates() const { return threshold == std::numeric_limits<double>::infinity(); }
};

// Conformal risk control (Angelopoulos, Bates, Fisch, Lei, Schuster, ICLR 2024, arXiv:2208.02814):
// the least threshold with (n R + B) / (n + 1) <= alpha, so that a new point, exchangeable with the
// n given, loses at most alpha in expectation over both. R is the points' mean loss; a curve that
// falls again as the threshold comes down counts with the largest it has had, which keeps the
// guarantee for finite n. O(m log m) for m steps in all. INVALID_ARGUMENT: a target, a loss or the
// order of a curve out of range.
absl::StatusOr<ConformalThreshold> CalibrateThreshold(absl::Span<const LossCurve> points,
                                                      const RiskTarget& target);

}  // namespace penstock::router
