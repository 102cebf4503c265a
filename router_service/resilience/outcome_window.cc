#include "router_service/resilience/outcome_window.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {
// Below what clocks resolve; its logarithm is finite.
constexpr double kLeastSeconds = 1e-9;
}  // namespace

double OutcomeTotals::success_rate() const {
  return count() == 0 ? 1 : static_cast<double>(successes) / static_cast<double>(count());
}

double OutcomeTotals::failure_rate() const {
  return count() == 0 ? 0 : static_cast<double>(failures) / static_cast<double>(count());
}

double OutcomeTotals::latency_s() const {
  return successes == 0 ? 0 : std::exp(log_latency_sum / static_cast<double>(successes));
}

int64_t OutcomeWindow::NumberOf(absl::Time time) const {
  return absl::ToUnixNanos(time) / absl::ToInt64Nanoseconds(step_);
}

OutcomeTotals& OutcomeWindow::At(absl::Time now) {
  const int64_t number = NumberOf(now);
  Step& step = steps_[static_cast<size_t>(number % kSteps)];
  if (step.number != number) step = {number, {}};
  return step.totals;
}

void OutcomeWindow::AddSuccess(absl::Duration latency, absl::Time now) {
  OutcomeTotals& totals = At(now);
  ++totals.successes;
  totals.log_latency_sum += std::log(std::max(kLeastSeconds, absl::ToDoubleSeconds(latency)));
}

void OutcomeWindow::AddFailure(absl::Time now) { ++At(now).failures; }

void OutcomeWindow::AddLate(absl::Time now) { ++At(now).late; }

void OutcomeWindow::Clear() { steps_.fill({}); }

OutcomeTotals OutcomeWindow::Totals(absl::Time now) const {
  const int64_t newest = NumberOf(now);
  OutcomeTotals sum;
  for (const Step& step : steps_) {
    if (step.number < 0 || step.number <= newest - kSteps) continue;
    sum.successes += step.totals.successes;
    sum.failures += step.totals.failures;
    sum.late += step.totals.late;
    sum.log_latency_sum += step.totals.log_latency_sum;
  }
  return sum;
}

}  // namespace penstock::router
