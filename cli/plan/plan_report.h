#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/output/svg_chart.h"
#include "cli/plan/plan_input.h"
#include "common/time/clock.h"
#include "nlohmann/json_fwd.hpp"

namespace penstock::cli {

struct PlanReportOptions {
  router::SetSearchLimits search;
  size_t frontier_points = 16;
  double watts = 0, requests_per_s = 0;  // both above 0: who should be awake is planned too
  bool cascade = false;                  // within the energy limit
};

struct ClassReport {
  std::string name;
  router::ClassPlan plan;
  router::PlanAdvice advice;
  std::vector<router::FrontierPoint> frontier;
};

struct PlanReport {
  std::vector<ClassReport> classes;
  std::optional<router::ResidentPlan> residents;
  std::optional<router::ChainPlan> cascade;
};

// Plans all that is asked for.
absl::StatusOr<PlanReport> MakePlanReport(const PlanInput& input, const PlanReportOptions& options,
                                          const Clock& clock);

std::string PlanText(const PlanInput& input, const PlanReport& report);
nlohmann::ordered_json PlanJson(const PlanInput& input, const PlanReport& report);
// Value against joules: each class's frontier, its plan, and the single experts.
Chart PlanChart(const PlanInput& input, const PlanReport& report);

}  // namespace penstock::cli
