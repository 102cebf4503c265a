#include "router_service/selection/congestion_price.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "router_service/selection/congestion_game.h"

namespace penstock::router {
namespace {

constexpr double kMemory = 512;
// The load of late: it changes sooner than what experts are worth.
constexpr double kLoadMemory = 64;
// Where choices have no noise of their own the game needs some: a share of the experts' spread, and
// at least so many quality units.
constexpr double kNoiseOfSpread = 0.02;
constexpr double kLeastNoise = 1e-3;
// Where all experts together are at the limit, none can be kept below it: they are then to be about
// even.
constexpr double kOverMean = 1.05;

double Step(double memory, uint64_t seen) {
  return std::max(1 / memory, 1 / static_cast<double>(seen));
}

double Sum(absl::Span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

CongestionPrice::CongestionPrice(size_t experts, double max_utilisation)
    : max_utilisation_(max_utilisation),
      seen_{std::vector<Worth>(experts), std::vector<double>(experts, 0),
            std::vector<double>(experts, 0)} {}

void CongestionPrice::Price(absl::Span<const double> in_flight, absl::Span<const double> slots,
                            absl::Span<double> price) const {
  const double scale = scale_.load(std::memory_order_relaxed);
  const double load = Sum(in_flight), capacity = Sum(slots);
  const auto usable = static_cast<double>(
      std::count_if(slots.begin(), slots.end(), [](double s) { return s > 0; }));
  for (size_t i = 0; i < price.size(); ++i) {
    price[i] = slots[i] > 0 && load > 0
                   ? scale * (in_flight[i] / load) / (usable * slots[i] / capacity)
                   : 0;
  }
}

void CongestionPrice::Record(absl::Span<const double> worth, absl::Span<const double> in_flight,
                             absl::Span<const double> slots) {
  double mean = 0, known = 0;
  for (const double of_expert : worth) {
    if (!std::isfinite(of_expert)) continue;
    mean += of_expert;
    ++known;
  }
  if (known < 2 || !(Sum(slots) > 0)) return;
  mean /= known;

  Seen seen;
  Figures figures;
  {
    MutexLock lock(mutex_);
    Count(worth, mean, in_flight, slots);
    if (recorded_ % kFitEffective == 0) seen_.effective = true;
    if (recorded_ % kRefit != 0 || fitting_) return;
    fitting_ = true;
    seen = seen_;
    seen_.effective = false;
    figures = figures_;
  }
  const bool fitted = Fit(seen, figures);
  MutexLock lock(mutex_);
  fitting_ = false;
  if (!fitted) return;
  figures_ = figures;
  scale_.store(figures.gamma * figures.noise, std::memory_order_relaxed);
}

void CongestionPrice::Count(absl::Span<const double> worth, double mean,
                            absl::Span<const double> in_flight, absl::Span<const double> slots) {
  ++recorded_;
  for (size_t i = 0; i < worth.size(); ++i) {
    if (!std::isfinite(worth[i])) continue;
    Worth& of_expert = seen_.worth[i];
    const double step = Step(kMemory, ++of_expert.seen);
    const double difference = worth[i] - mean - of_expert.mean;
    of_expert.mean += step * difference;
    of_expert.variance += step * ((1 - step) * difference * difference - of_expert.variance);
  }
  const double load = Sum(in_flight), capacity = Sum(slots);
  const double step = Step(kLoadMemory, recorded_);
  seen_.utilisation += step * (load / capacity - seen_.utilisation);
  for (size_t i = 0; load > 0 && i < seen_.load.size(); ++i) {
    seen_.load[i] += step * (in_flight[i] / load - seen_.load[i]);
  }
  seen_.slots.assign(slots.begin(), slots.end());
}

bool CongestionPrice::Fit(const Seen& seen, Figures& figures) const {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  const size_t experts = seen.worth.size();
  const auto counts = [&](size_t i) { return seen.worth[i].seen > 0 && seen.slots[i] > 0; };
  double usable = 0, variance = 0, capacity = 0;
  double least = std::numeric_limits<double>::infinity(), most = kNever;
  for (size_t i = 0; i < experts; ++i) {
    if (!counts(i)) continue;
    ++usable;
    variance += seen.worth[i].variance;
    capacity += seen.slots[i];
    least = std::min(least, seen.worth[i].mean);
    most = std::max(most, seen.worth[i].mean);
  }
  if (usable < 2) return false;
  // Of n independent worths less their mean, the variance is (n - 1) / n of theirs.
  const double deviation = std::sqrt(variance / (usable - 1));
  figures.noise =
      std::max({deviation * std::sqrt(6.0) / M_PI, kNoiseOfSpread * (most - least), kLeastNoise});
  std::vector<double> q(experts, kNever), part(experts, 0);
  for (size_t i = 0; i < experts; ++i) {
    if (!counts(i)) continue;
    q[i] = seen.worth[i].mean / figures.noise;
    part[i] = seen.slots[i] / capacity;
  }
  const double target = std::max(max_utilisation_ / std::max(seen.utilisation, 1e-9), kOverMean);
  figures.gamma = std::max(kLeastGamma, LeastGammaFor(q, part, target));
  const double load = Sum(seen.load);
  if (!seen.effective || !(load > 0)) return true;
  std::vector<double> share(seen.load);
  for (double& of_expert : share) of_expert /= load;
  figures.gamma_effective = FitGamma(q, share, part);
  return true;
}

CongestionPrice::Figures CongestionPrice::figures() const {
  MutexLock lock(mutex_);
  return figures_;
}

}  // namespace penstock::router
