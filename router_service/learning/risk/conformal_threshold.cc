#include "router_service/learning/risk/conformal_threshold.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

// What the sum of the losses grows by where the threshold passes below.
struct Growth {
  double threshold = 0;
  double by = 0;
};

absl::Status Check(const RiskTarget& target) {
  if (!(target.loss_bound > 0) || !std::isfinite(target.loss_bound)) {
    return absl::InvalidArgumentError(
        absl::StrCat("loss_bound is ", target.loss_bound, ", wanted above 0"));
  }
  if (!(target.alpha > 0 && target.alpha <= target.loss_bound)) {
    return absl::InvalidArgumentError(
        absl::StrCat("alpha is ", target.alpha, ", wanted above 0 to ", target.loss_bound));
  }
  return absl::OkStatus();
}

absl::Status AppendGrowths(const LossCurve& curve, double loss_bound,
                           std::vector<Growth>& growths) {
  double above = std::numeric_limits<double>::infinity(), largest = 0;
  for (const LossStep& step : curve) {
    if (!(step.loss >= 0 && step.loss <= loss_bound)) {
      return absl::InvalidArgumentError(
          absl::StrCat("loss is ", step.loss, ", wanted 0 to ", loss_bound));
    }
    if (!(step.threshold <= above)) {
      return absl::InvalidArgumentError(
          absl::StrCat("threshold is ", step.threshold, " after ", above, ", wanted descending"));
    }
    above = step.threshold;
    if (step.loss > largest) {
      growths.push_back({step.threshold, step.loss - largest});
      largest = step.loss;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ConformalThreshold> CalibrateThreshold(absl::Span<const LossCurve> points,
                                                      const RiskTarget& target) {
  PENSTOCK_RETURN_IF_ERROR(Check(target));
  std::vector<Growth> growths;
  growths.reserve(points.size());
  for (const LossCurve& curve : points) {
    PENSTOCK_RETURN_IF_ERROR(AppendGrowths(curve, target.loss_bound, growths));
  }
  const double count = static_cast<double>(points.size());
  const auto allowed = [&](double sum) {
    return (sum + target.loss_bound) / (count + 1) <= target.alpha;
  };
  ConformalThreshold result;
  if (!allowed(0)) return result;
  std::sort(growths.begin(), growths.end(),
            [](const Growth& a, const Growth& b) { return a.threshold > b.threshold; });
  double sum = 0;
  result.threshold = -std::numeric_limits<double>::infinity();
  for (size_t at = 0; at < growths.size();) {
    const double threshold = growths[at].threshold;
    double below = sum;
    for (; at < growths.size() && growths[at].threshold == threshold; ++at) below += growths[at].by;
    if (!allowed(below)) {
      result.threshold = threshold;
      break;
    }
    sum = below;
  }
  if (count > 0) result.risk = sum / count;
  return result;
}

}  // namespace penstock::router
