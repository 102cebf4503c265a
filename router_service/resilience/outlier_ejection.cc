#include "router_service/resilience/outlier_ejection.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

// 2^20 ejection times are beyond every max_ejection_time.
constexpr uint32_t kMostDoublings = 20;

struct Outlier {
  size_t replica = 0;
  EjectionReason reason = EjectionReason::kNone;
  double severity = 0;  // over the limit of its reason
};

double Median(std::vector<double> values) {
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(middle), values.end());
  if (values.size() % 2 == 1) return values[middle];
  const double below =
      *std::max_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(middle));
  return (below + values[middle]) / 2;
}

void Return(Ejection& ejection, absl::Time now) {
  ejection.reason = EjectionReason::kNone;
  ejection.returned = now;
}

void Eject(EjectionReason reason, const EjectionOptions& options, absl::Time now,
           Ejection& ejection) {
  ejection.again =
      now - ejection.returned < options.window ? std::min(ejection.again + 1, kMostDoublings) : 0;
  ejection.reason = reason;
  ejection.until = now + std::min(options.max_ejection_time,
                                  options.ejection_time * (int64_t{1} << ejection.again));
}

// What `judge` makes of the figure of each in `judged`, beside the median of the others' figures.
template <typename Figure, typename Severity>
void Compare(const std::vector<size_t>& judged, EjectionReason reason, const Figure& figure,
             const Severity& severity, std::vector<Outlier>& found) {
  if (judged.size() < 2) return;  // far from whom?
  for (const size_t replica : judged) {
    std::vector<double> others;
    for (const size_t other : judged) {
      if (other != replica) others.push_back(figure(other));
    }
    const double over = severity(figure(replica), Median(std::move(others)));
    if (over >= 1) found.push_back({replica, reason, over});
  }
}

std::vector<Outlier> FindOutliers(absl::Span<const EjectionCandidate> replicas,
                                  const EjectionOptions& options) {
  std::vector<size_t> counted, answered;
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (!replicas[i].available || replicas[i].ejection.ejected()) continue;
    if (replicas[i].recent.count() >= options.min_requests) counted.push_back(i);
    if (replicas[i].recent.successes >= options.min_requests) answered.push_back(i);
  }
  std::vector<Outlier> found;
  Compare(
      counted, EjectionReason::kSuccessRate,
      [&](size_t i) { return replicas[i].recent.success_rate(); },
      [&](double own, double median) { return (median - own) / options.success_gap; }, found);
  Compare(
      answered, EjectionReason::kLatency, [&](size_t i) { return replicas[i].recent.latency_s(); },
      [&](double own, double median) {
        return median > 0 ? own / (median * options.latency_ratio) : 0;
      },
      found);
  std::stable_sort(found.begin(), found.end(), [](const Outlier& a, const Outlier& b) {
    return a.reason != b.reason ? a.reason < b.reason : a.severity > b.severity;
  });
  return found;
}

}  // namespace

absl::string_view EjectionReasonName(EjectionReason reason) {
  switch (reason) {
    case EjectionReason::kNone:
      return "";
    case EjectionReason::kSuccessRate:
      return "success rate";
    case EjectionReason::kLatency:
      return "latency";
  }
  return "";
}

size_t MostEjected(size_t replicas, double max_share) {
  if (replicas == 0) return 0;
  // A share like 0.1 of 10 is one, whatever its last bit says.
  const double most = std::floor(max_share * static_cast<double>(replicas) + 1e-9);
  return std::min(static_cast<size_t>(most), replicas - 1);
}

std::vector<size_t> SweepOutliers(absl::Span<EjectionCandidate> replicas,
                                  const EjectionOptions& options, absl::Time now) {
  std::vector<size_t> ejected;
  for (size_t i = 0; i < replicas.size(); ++i) {
    Ejection& ejection = replicas[i].ejection;
    if (ejection.ejected() && (options.off || ejection.until <= now)) Return(ejection, now);
    if (ejection.ejected()) ejected.push_back(i);
  }
  const size_t most = MostEjected(replicas.size(), options.max_share);
  std::sort(ejected.begin(), ejected.end(), [&](size_t a, size_t b) {
    return replicas[a].ejection.until > replicas[b].ejection.until;
  });
  while (ejected.size() > most) {
    Return(replicas[ejected.back()].ejection, now);
    ejected.pop_back();
  }
  std::vector<size_t> sent_away;
  if (options.off) return sent_away;
  size_t in_use = 0;
  for (const EjectionCandidate& replica : replicas) {
    in_use += replica.available && !replica.ejection.ejected();
  }
  for (const Outlier& outlier : FindOutliers(replicas, options)) {
    Ejection& ejection = replicas[outlier.replica].ejection;
    if (ejection.ejected()) continue;  // for the other reason
    if (ejected.size() + sent_away.size() >= most || in_use <= 1) break;
    Eject(outlier.reason, options, now, ejection);
    sent_away.push_back(outlier.replica);
    --in_use;
  }
  return sent_away;
}

}  // namespace penstock::router
