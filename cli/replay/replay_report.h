#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "router_service/simulation/hindsight.h"
#include "router_service/simulation/malformed_rows.h"
#include "router_service/simulation/outcome_file.h"
#include "router_service/simulation/spend_report.h"

namespace penstock::cli {

// What `penstock replay` tells.
struct ReplayReport {
  router::OutcomeMatrix outcomes;
  router::SimulationResult result;
  router::SpendTarget target;
  router::SpendReport spend;
  // At the same mean of joules; unset without a budget.
  std::optional<router::HindsightPlan> hindsight;
  std::optional<router::HindsightPlan> bound;
  double mixed_singles = 0;
  router::Completion completion;
  bool estimates_from_file = false;
  double wall_seconds = 0;
};

std::string FormatReplayReport(const ReplayReport& report);
std::string ReplayReportJson(const ReplayReport& report);
// watts.svg, price.svg and quality.svg into the folder, which is made.
absl::Status WriteReplayPlots(const ReplayReport& report, const std::string& folder);

}  // namespace penstock::cli
