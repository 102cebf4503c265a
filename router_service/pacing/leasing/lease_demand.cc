#include "router_service/pacing/leasing/lease_demand.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

constexpr double kSeconds = 10;
// What was drawn on for less says little of a second.
constexpr double kLeastSeconds = 0.5;

double Fading(absl::Duration by) { return std::exp(-absl::ToDoubleSeconds(by) / kSeconds); }

}  // namespace

void LeaseDemand::Note(int64_t amount, absl::Time now) {
  if (last_ == absl::InfinitePast()) {
    began_ = now;
  } else {
    sum_ *= Fading(now - last_);
  }
  last_ = std::max(last_, now);
  sum_ += static_cast<double>(amount);
  largest_ = std::max(amount, largest_ - largest_ / 100);
}

double LeaseDemand::Rate(absl::Time now) const {
  if (last_ == absl::InfinitePast()) return 0;
  const double elapsed = std::max(kLeastSeconds, absl::ToDoubleSeconds(now - began_));
  return sum_ * Fading(now - last_) / (kSeconds * -std::expm1(-elapsed / kSeconds));
}

}  // namespace penstock::router
