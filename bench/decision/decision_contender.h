#pragma once

#include <memory>
#include <string>

#include "bench/decision/decision_case.h"

namespace penstock::router {

// One way to decide.
class DecisionContender {
 public:
  virtual ~DecisionContender() = default;
  virtual std::string name() const = 0;
  // Who runs request `i`, and holds the joules for it. The choice stays valid until the next call.
  virtual absl::StatusOr<const ExpertChoice*> Decide(size_t i) = 0;
  // The end of the request just decided, as if it had cost what was predicted: what is off the latency
  // path, but on the core.
  virtual void End() = 0;
};

// What a request runs: ScoreExperts, ChooseExperts and the reservation, as RequestRun calls them.
std::unique_ptr<DecisionContender> MakePipelineDecision(DecisionCase& of, bool with_features);
// The same rooms called on workspaces that are kept: what the pipeline's own memory costs.
std::unique_ptr<DecisionContender> MakeRoomsDecision(DecisionCase& of, bool with_features);
// The reference: double precision, every set of at most two experts looked at.
std::unique_ptr<DecisionContender> MakeExhaustiveDecision(DecisionCase& of, bool with_features);
// What it would choose under these limits.
absl::StatusOr<ExpertChoice> ChooseExhaustively(const DecisionCase& of, size_t i,
                                                bool with_features,
                                                const SelectionLimits& limits);

}  // namespace penstock::router
