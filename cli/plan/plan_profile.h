#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::cli {

// What a profile file says of an expert; what it leaves out comes from the outcome table.
struct ExpertProfile {
  std::string name;
  std::optional<double> energy_j, latency_s;
  double idle_watts = 0;
  std::vector<double> quality;  // for each kind of request; empty: from the table
};

// Limits of one application class; what it leaves out comes from the command line.
struct ClassProfile {
  std::string name;
  std::optional<double> energy_limit_j, latency_limit_s;
  std::vector<std::string> required, forbidden;
};

struct PlanProfile {
  std::vector<ExpertProfile> experts;
  std::vector<ClassProfile> classes;
};

// YAML:
//   experts:
//     small: {energy_j: 9.3, latency_s: 0.5, idle_watts: 100, quality: [0.9, 0.2, 0.4]}
//   classes:
//     chat: {energy_limit_j: 40, latency_limit_s: 2, required: [small], forbidden: []}
// INVALID_ARGUMENT with file, path and what was wanted; an unknown key is an error.
absl::StatusOr<PlanProfile> ReadPlanProfile(const std::string& path);

}  // namespace penstock::cli
