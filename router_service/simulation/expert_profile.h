#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "router_service/simulation/outcome_matrix.h"

namespace penstock::router {

// How an expert is simulated: what an answer takes where the outcome table does not tell.
struct ExpertProfile {
  std::string name;
  double joules_per_request = 0;
  double joules_per_token = 0;
  double seconds_per_request = 0;
  double seconds_per_token = 0;
  uint32_t slots = 0;     // requests at once, over all replicas; 0: no limit
  double idle_watts = 0;  // of its devices, without work
};

// YAML, a list under `experts`, of maps with the names above. Strict: an unknown key, a wrong type, a
// negative number, a name that is missing or stands twice are INVALID_ARGUMENT with file, place and
// line. `text` is the file's.
absl::StatusOr<std::vector<ExpertProfile>> ParseExpertProfiles(absl::string_view file,
                                                               const std::string& text);
absl::StatusOr<std::vector<ExpertProfile>> ReadExpertProfiles(const std::string& file);

// The profiles in the order of the matrix's experts. INVALID_ARGUMENT names an expert without one.
absl::StatusOr<std::vector<ExpertProfile>> InOrderOf(const OutcomeMatrix& outcomes,
                                                     absl::Span<const ExpertProfile> profiles);

}  // namespace penstock::router
