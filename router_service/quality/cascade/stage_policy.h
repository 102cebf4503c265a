#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "router_service/quality/answer_confidence.h"

namespace penstock::router {

class BypassGate;

// The answer that stands, and what its confidence lets expect.
struct StandingAnswer {
  size_t expert = 0;
  absl::Span<const AnswerConfidence> rows;  // at least one
  absl::Span<const float> quality;          // by expert, as CascadeQuality::Predict
};

// What the exit gates before left of a request: the mass that they took, and the chance that none
// let it go.
struct ExitState {
  double used = 0;
  double survived = 1;
};

// Says stage by stage, at no price, whether a cascade's answer stands. Immutable, thread-safe.
class StagePolicy {
 public:
  virtual ~StagePolicy() = default;
  // Those that may be asked after `standing`, in order; empty: its answer stands.
  virtual absl::Span<const size_t> After(size_t standing) const = 0;
  // Asked once a stage, in order, of an answer that somebody may come after.
  virtual bool Stands(const StandingAnswer& answer, ExitState& state) const = 0;
  // When the next stage is asked, for a decision's reason.
  virtual absl::string_view Rule() const = 0;
  // Not null: decides before anything runs.
  virtual const BypassGate* bypass() const { return nullptr; }
};

// Stages in the order asked, as places in the pool's experts.
struct StageList {
  std::vector<size_t> experts;  // at least 2

  absl::Span<const size_t> After(size_t standing) const;
  size_t PlaceOf(size_t expert) const;  // experts.size() where it is no stage
};

// The experts that metadata "stages" names. INVALID_ARGUMENT: none, fewer than 2, one that is no
// expert of the pool, one twice.
absl::StatusOr<StageList> ReadStageList(const Safetensors& file, absl::string_view path,
                                        const std::vector<std::string>& expert_names);

// The policy that metadata "policy" names. INVALID_ARGUMENT: one that there is not, or a file that
// does not hold what it wants.
absl::StatusOr<std::unique_ptr<const StagePolicy>> ReadStagePolicy(
    const Safetensors& file, absl::string_view path, const std::vector<std::string>& expert_names);

}  // namespace penstock::router
