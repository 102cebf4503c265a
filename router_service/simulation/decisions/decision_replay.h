#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/simulation/decisions/mismatch.h"
#include "router_service/simulation/decisions/pacer_replay.h"

namespace penstock::router {

// What came of making a log's decisions again.
struct DecisionReplayReport {
  uint64_t events = 0;
  uint64_t decisions = 0;
  uint64_t reproduced = 0;  // price, headroom, choice and weights to the last bit
  uint64_t mismatched = 0;
  // Decisions that are not made again, by why; none of them counts as reproduced.
  std::map<std::string, uint64_t> not_replayed;
  uint64_t reports = 0;  // lines that only tell how good an answer was
  Mismatches mismatches;
  // Why the log does not tell everything; empty: it does.
  std::vector<std::string> incomplete;

  double share() const {
    return decisions == 0 ? 0 : static_cast<double>(reproduced) / static_cast<double>(decisions);
  }
  bool failed() const { return mismatches.count() > 0; }
};

// Makes the decisions of a decision log again, line by line: events go through the router's own
// pacer and choices through its own selector. Lines of several routers and several runs may stand
// in one log. Holds a few hundred bytes a request.
class DecisionReplay {
 public:
  // A line that is neither decision nor event is counted, and makes the log incomplete. `where` it
  // stands; empty: by its number.
  void Add(absl::string_view line, absl::string_view where = {});
  // So many lines are missing in this place, as the log itself says.
  void AddGap(uint64_t lost) { gaps_ += lost; }
  // The log is not as a router wrote it.
  void AddBreak(absl::string_view what);
  // At the end of the log.
  DecisionReplayReport Finish();

 private:
  void AddEvent(const v1::PacerEvent& event);
  void AddDecision(const v1::Decision& decision);
  // Empty where it was made again.
  std::string Replay(const v1::Decision& decision, uint32_t router);

  DecisionReplayReport report_;
  absl::flat_hash_map<uint32_t, std::unique_ptr<PacerReplay>> routers_;
  absl::flat_hash_set<std::string> seen_;  // ids
  uint64_t lines_ = 0;
  uint64_t malformed_ = 0;
  uint64_t gaps_ = 0;  // lines that are missing in them
  uint64_t breaks_ = 0;
  std::string first_break_;
  std::string first_malformed_;
};

// `path`: a decision log's folder, whose chain is checked on the way, or a file that was exported
// from one. NOT_FOUND: it cannot be read. INVALID_ARGUMENT: it holds no decision.
absl::StatusOr<DecisionReplayReport> ReplayDecisions(const std::string& path);

}  // namespace penstock::router
