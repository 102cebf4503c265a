#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/plan/plan_profile.h"
#include "cli/plan/plan_table.h"
#include "router_service/planning/chain_search.h"
#include "router_service/planning/class_planner.h"
#include "router_service/planning/resident_planner.h"

namespace penstock::cli {

struct PlanInputOptions {
  std::string outcomes_file, profile_file;
  std::vector<std::string> experts;  // empty: all
  size_t most_malformed = 100;
  size_t sample = 2048;  // requests of each class
  uint64_t seed = 1;
  double latency_quantile = 0.95;
  bool responsibility = false;
  router::SetLimits limits;  // for every class, unless the profile says otherwise
  std::vector<std::string> required, forbidden;
  double idle_watts = 0;  // of an expert, unless the profile says otherwise
};

struct ClassInput {
  std::string name;
  size_t rows = 0;                      // of the table, before sampling
  std::vector<double> quality, joules;  // [experts, sampled]
  size_t sampled = 0;
  std::vector<double> values;  // what the plan maximises: quality or responsibility
  router::ClassPlanRequest request;
  // The profile's limits of the class, which go before the command line's.
  bool energy_from_profile = false, latency_from_profile = false;
};

struct PlanInput {
  std::vector<std::string> experts;
  std::vector<ClassInput> classes;
  std::vector<double> idle_watts;
  std::vector<double> latency_s;  // of the slowest class, or empty
  bool joules_known = false, latency_known = false;
  std::optional<router::ChainSample> chain;  // where the table tells confidences
  router::SetLimits told;                    // on the command line, for every class
  size_t rows = 0, skipped = 0;
  std::vector<std::string> problems;
};

// Joules and seconds come from the profile, else the table; values from the table, else the
// profile.
absl::StatusOr<PlanInput> PreparePlan(const PlanInputOptions& options);

}  // namespace penstock::cli
