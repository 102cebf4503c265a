#pragma once

#include "router_service/dispatch/expert_ask.h"
#include "router_service/dispatch/route_observer.h"

namespace penstock::router {

// What an observer hears of an attempt that has ended.
inline RunFigures FiguresOf(const AskAttempt& attempt) {
  const CostEstimate& predicted = attempt.predicted;
  return {attempt.answered,     predicted.expected_latency_s,
          predicted.latency_s,  absl::ToDoubleSeconds(attempt.latency),
          predicted.energy_j,   attempt.report.joules,
          attempt.report.method};
}

}  // namespace penstock::router
