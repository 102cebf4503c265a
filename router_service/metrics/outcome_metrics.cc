#include "router_service/metrics/outcome_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <utility>

#include "absl/status/status.h"
#include "router_service/metrics/families.h"

namespace penstock::router {
namespace {

// Powers of about 2.5 from 0.1 ms to 10 s.
const prometheus::Histogram::BucketBoundaries kLatencyBuckets = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

}  // namespace

OutcomeFamilies::OutcomeFamilies(prometheus::Registry& registry)
    : requests(MakeCounters(registry, "penstock_router_requests_total",
                            "Requests answered, by pool and status code.")),
      latency(prometheus::BuildHistogram()
                  .Name("penstock_router_latency_seconds")
                  .Help("Time from a request's arrival to its answer, by pool and status code.")
                  .Register(registry)),
      deadlines(MakeCounters(registry, "penstock_router_deadlines_total",
                             "Requests that had a latency budget (their own, their class's or "
                             "their call's), by pool and result: met (answered OK within it), "
                             "missed. Those refused before it was read are not among them.")),
      refusals(MakeCounters(registry, "penstock_router_refusals_total",
                            "Requests that got no answer, by pool and why.")) {}

PoolOutcomes::PoolOutcomes(OutcomeFamilies& families, std::string pool)
    : families_(families), pool_(std::move(pool)) {}

void PoolOutcomes::RequestFinished(const RouteEvent& event) {
  auto code = static_cast<size_t>(event.code);
  if (code >= kCodes) code = static_cast<size_t>(absl::StatusCode::kUnknown);
  const auto of_code = [&] {
    return prometheus::Labels{
        {"pool", pool_}, {"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(code))}};
  };
  requests_
      .Get(
          code, [&]() -> auto& { return families_.requests.Add(of_code()); })
      .Increment();
  latency_
      .Get(
          code, [&]() -> auto& { return families_.latency.Add(of_code(), kLatencyBuckets); })
      .Observe(absl::ToDoubleSeconds(event.latency));
  if (event.latency_budget < absl::InfiniteDuration()) {
    const bool met = event.code == absl::StatusCode::kOk && event.latency <= event.latency_budget;
    deadlines_
        .Get(
            met ? 1 : 0,
            [&]() -> auto& {
              return families_.deadlines.Add({{"pool", pool_}, {"result", met ? "met" : "missed"}});
            })
        .Increment();
  }
  if (event.refusal == Refusal::kNone) return;
  refusals_
      .Get(
          static_cast<size_t>(event.refusal),
          [&]() -> auto& {
            return families_.refusals.Add(
                {{"pool", pool_}, {"reason", std::string(RefusalName(event.refusal))}});
          })
      .Increment();
}

}  // namespace penstock::router
