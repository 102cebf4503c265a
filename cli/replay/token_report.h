#pragma once

#include <string>

#include "router_service/simulation/token_steps/promise_report.h"
#include "router_service/simulation/token_steps/token_simulation.h"

namespace penstock::cli {

// What `penstock replay --token_steps` tells.
struct TokenReport {
  router::OutcomeMatrix outcomes;
  router::TokenStepResult result;
  router::PromiseReport promises;
  double promise = 0;
  double counted_from_s = 0;
  double load = 0;  // arrivals a second over what the pool can finish
};

std::string FormatTokenReport(const TokenReport& report);
std::string TokenReportJson(const TokenReport& report);

}  // namespace penstock::cli
