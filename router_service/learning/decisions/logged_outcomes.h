#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "penstock/config/v1/router.pb.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/text/text_outcomes.h"

namespace penstock::router {

// One decision of a log whose answer was reported: of all experts only the one that was asked.
struct LoggedOutcome {
  std::string id;
  size_t asked = 0;   // index of LoggedOutcomes::experts
  float quality = 0;  // as reported
  float joules = 0;   // as metered, NaN = unknown
  float seconds = 0;
  float propensity = 0;  // NaN = unknown
  v1::Features features;
  std::vector<float>
      predicted;  // [experts known so far]: what the live files expected; NaN = nothing
};

// What decision logs (decision_log.directory with `features`) tell of one pool.
struct LoggedOutcomes {
  std::string pool;
  std::vector<std::string> experts;  // in the pool's order
  std::vector<LoggedOutcome> rows;
  uint32_t dimension = 0;  // of the features
  // Lines that are no decision, and decisions that teach nothing.
  size_t bad_lines = 0;
  std::vector<std::string> bad;  // the first few, as file:line: problem
  size_t unreported = 0;
  size_t combined = 0;  // several experts' answers, or none, came back
  size_t other_pools = 0;
  size_t capped = 0;  // beyond their tenant's share

  // As they stand, for people.
  std::vector<std::string> Notes() const;
};

struct LoggedOutcomesSource {
  // Folders of logs, and files exported from them, plain or gzipped; of all routers that took reports.
  std::vector<std::string> files;
  std::string pool;                  // empty: the only one that there is
  std::vector<std::string> experts;  // only these; empty: all
  size_t max_bad_lines = 0;          // more stop the reading
  // Of the reported decisions, most of one tenant: CapFeedback. 1: all count.
  double most_tenant_share = 1;
};

// Joins decisions and reports by id, in whatever order and file they stand; the last report of a
// decision counts. A report that another router took counts where it is an administrator's or of
// the decision's own tenant. INVALID_ARGUMENT with file:line once more lines than max_bad_lines are
// malformed, and where nothing is left.
absl::StatusOr<LoggedOutcomes> ReadLoggedOutcomes(const LoggedOutcomesSource& source);

// As tables that know one expert a row. An expert that was never asked is known as the log's own
// files predicted it, in every row: nobody told better. INVALID_ARGUMENT where the features are not
// of that kind.
absl::StatusOr<OutcomeTable> ToOutcomeTable(const LoggedOutcomes& outcomes);
absl::StatusOr<TextOutcomes> ToTextOutcomes(const LoggedOutcomes& outcomes,
                                            const config::v1::TextFeatures& settings);

}  // namespace penstock::router
