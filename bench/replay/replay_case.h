#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/simulation/arrival_trace.h"
#include "router_service/simulation/expert_profile.h"
#include "router_service/simulation/outcome_matrix.h"

namespace penstock::router {

struct NamedTrace {
  std::string name;
  ArrivalTrace trace;
};

// A set of outcomes with what is known of them beforehand, and the traces that ask for them.
struct ReplayCase {
  std::string set;
  std::string estimates;  // where they come from
  OutcomeMatrix outcomes;
  std::vector<ExpertProfile> profiles;  // in the order of the experts
  std::vector<NamedTrace> traces;
};

// `set_file` as bench/routing/prepare_sets.py writes it; `estimates_file` empty: by ridge.
absl::StatusOr<ReplayCase> LoadReplayCase(const std::string& set_file,
                                          const std::string& profiles_file,
                                          const std::string& estimates_file,
                                          const std::vector<std::string>& trace_files);

}  // namespace penstock::router
