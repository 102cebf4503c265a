#include "router_service/metrics/quality_metrics.h"

#include <prometheus/gauge.h>

#include <cmath>
#include <limits>
#include <utility>

#include "router_service/metrics/families.h"

namespace penstock::router {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

}  // namespace

bool PoolQuality::Add(const v1::Decision& decision) {
  const auto& candidates = decision.candidates();
  if (static_cast<size_t>(candidates.size()) != experts_.size()) return false;
  // In one pass: candidates lie far apart.
  for (size_t i = 0; i < experts_.size(); ++i) {
    const v1::Candidate& candidate = candidates[static_cast<int>(i)];
    if (candidate.expert() != experts_[i]) return false;
    quality_[i] += candidate.quality();
  }
  return true;
}

void PoolQuality::RequestFinished(const RouteEvent& event) {
  if (event.decision == nullptr) return;
  MutexLock lock(mutex_);
  if (event.quality_forgone && std::isfinite(*event.quality_forgone)) {
    forgone_ += *event.quality_forgone;
    ++choices_;
  }
  const auto& candidates = event.decision->candidates();
  if (candidates.empty()) return;
  if (!Add(*event.decision)) {
    experts_.clear();
    for (const v1::Candidate& candidate : candidates) experts_.push_back(candidate.expert());
    quality_.assign(experts_.size(), 0);
    requests_ = 0;
    Add(*event.decision);
  }
  ++requests_;
}

PoolQuality::Window PoolQuality::Take() {
  Window window;
  MutexLock lock(mutex_);
  window.experts = experts_;
  window.forgone = choices_ > 0 ? forgone_ / static_cast<double>(choices_) : kUnknown;
  for (double& sum : quality_) {
    window.quality.push_back(requests_ > 0 ? sum / static_cast<double>(requests_) : kUnknown);
    sum = 0;
  }
  requests_ = choices_ = 0;
  forgone_ = 0;
  return window;
}

QualityMetrics::QualityMetrics(prometheus::Registry& registry, PoolLabels& labels)
    : estimates_(MakeGauges(registry, "penstock_router_quality_estimate",
                            "Mean predicted quality, P(right), over this router's requests of the "
                            "last window of ten seconds, by pool and expert, whoever was chosen; "
                            "of a window without requests it is not told."),
                 labels),
      regrets_(MakeGauges(registry, "penstock_router_regret",
                          "Predicted quality that was given up, mean over this router's requests "
                          "of the last window of ten seconds that were free to choose by quality, "
                          "by pool: of the experts that may run and fit the request's own limits "
                          "(time left, energy cap, least quality) the best one's, whatever budgets "
                          "cover, less the best of the chosen ones'. What budgets, prices of "
                          "joules and load, deadlines' risk and exploration cost. Without cascades "
                          "that ask a cheap expert first, experts that the caller named, "
                          "objectives other than quality, pools by row, and pools that choose by "
                          "the gate's mass; of a window without any it is not told."),
               labels) {}

bool QualityMetrics::Due(absl::Time now) {
  const int64_t window = absl::ToUnixMillis(now) / absl::ToInt64Milliseconds(kWindow);
  if (window == window_) return false;
  window_ = window;
  return true;
}

void QualityMetrics::Tell(const std::string& pool, const PoolQuality::Window& window) {
  estimates_.Set(pool, window.experts, window.quality);
  regrets_.Set(pool, window.forgone);
}

void QualityMetrics::KeepOnly(const std::set<std::string>& pools) {
  estimates_.KeepOnly(pools);
  regrets_.KeepOnly(pools);
}

}  // namespace penstock::router
