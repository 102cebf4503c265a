#include "router_service/dispatch/choice/expected_amounts.h"

namespace penstock::router {
namespace {

double SecondsOf(const RouteRequest& request, size_t expert, uint64_t rows, double work) {
  return request.pool->record->cost.Estimate(expert, request.application_class, rows, {}, work)
      .expected_latency_s;
}

const config::v1::DollarPrice& PriceOf(const RouteRequest& request, size_t expert) {
  return request.pool->config.experts(static_cast<int>(expert)).dollars();
}

double DollarsOf(const config::v1::DollarPrice& price, uint64_t rows, double seconds) {
  return price.per_request() + price.per_row() * static_cast<double>(rows) +
         price.per_accelerator_second() * seconds;
}

// Whether nothing is paid for it: a loser that was cancelled has run.
bool Failed(const AskAttempt& attempt) {
  return !attempt.answered &&
         attempt.run.status() != absl::StatusCodeToString(absl::StatusCode::kCancelled) &&
         attempt.run.status() != absl::StatusCodeToString(absl::StatusCode::kOk);
}

}  // namespace

Amounts ExpectedAmounts(const RouteRequest& request, size_t expert, uint64_t rows, double work,
                        double energy_j) {
  const double seconds = SecondsOf(request, expert, rows, work);
  return {energy_j, seconds, DollarsOf(PriceOf(request, expert), rows, seconds)};
}

double LargestJoules(const RouteRequest& request, size_t expert, uint64_t rows) {
  return request.pool->config.experts(static_cast<int>(expert)).largest_joules_per_row() *
         static_cast<double>(rows);
}

Amounts TakenAmounts(const RouteRequest& request, const AskResult& ask) {
  Amounts taken{ask.energy.joules(), 0, 0};
  const config::v1::DollarPrice& price = PriceOf(request, ask.expert);
  for (const AskAttempt& attempt : ask.attempts) {
    const bool failed = Failed(attempt);
    if (failed && !attempt.report.compute) continue;
    const double seconds = attempt.report.compute
                               ? absl::ToDoubleSeconds(*attempt.report.compute)
                               : SecondsOf(request, ask.expert, ask.rows, ask.work);
    taken.accelerator_seconds += seconds;
    taken.dollars += failed ? price.per_accelerator_second() * seconds
                            : DollarsOf(price, ask.rows, seconds);
  }
  return taken;
}

}  // namespace penstock::router
