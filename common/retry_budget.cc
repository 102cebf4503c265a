#include "common/retry_budget.h"

#include <algorithm>
#include <cmath>

namespace penstock {
namespace {
// A server that dies takes what is in flight there with it: that burst has to be covered.
constexpr double kSavedSeconds = 10;
}  // namespace

RetryBudget::RetryBudget(const RetryBudgetOptions& options, absl::Time now)
    : options_(options), brought_(now), tokens_(kSavedSeconds * options.min_per_second) {}

void RetryBudget::Bring(absl::Time now) {
  if (now > brought_) {
    const double seconds = absl::ToDoubleSeconds(now - brought_);
    recent_ *= std::exp(-seconds / kSavedSeconds);
    tokens_ += options_.min_per_second * seconds;
    brought_ = now;
  }
  tokens_ = std::min(tokens_, kSavedSeconds * options_.min_per_second + options_.share * recent_);
}

void RetryBudget::RequestCame(absl::Time now) {
  MutexLock lock(mutex_);
  Bring(now);
  recent_ += 1;
  tokens_ += options_.share;
}

bool RetryBudget::TryTake(absl::Time now) {
  MutexLock lock(mutex_);
  Bring(now);
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

double RetryBudget::tokens(absl::Time now) {
  MutexLock lock(mutex_);
  Bring(now);
  return tokens_;
}

}  // namespace penstock
