#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "penstock/v1/replay.pb.h"
#include "router_service/dispatch/attempts/cascade.h"
#include "router_service/pacing/resource.h"
#include "router_service/selection/selection.h"

namespace penstock::router {

// What a selector saw and said, as the decision log's file has it, and back.

absl::string_view VerdictName(SelectionVerdict verdict);
absl::string_view ObjectiveName(Objective objective);

void WriteCandidates(const CandidateColumns& candidates, v1::ChoiceRecord& record);
// INVALID_ARGUMENT names the column that does not fit.
absl::StatusOr<CandidateColumns> ReadCandidates(const v1::ChoiceRecord& record);

// Of resources beside joules. Terms that do not bind are not written.
void WriteAmounts(absl::Span<const Amounts> amounts, v1::ChoiceRecord& record);
// Empty where none were written; INVALID_ARGUMENT names the column that does not fit.
absl::StatusOr<std::vector<Amounts>> ReadAmounts(const v1::ChoiceRecord& record);
// By expert: what its answer may take at most.
void WriteLargest(absl::Span<const double> largest_j, v1::ChoiceRecord& record);
void WriteTerms(const OtherTerms& terms,
                google::protobuf::RepeatedPtrField<v1::ResourceTerms>& to);
OtherTerms ReadTerms(const google::protobuf::RepeatedPtrField<v1::ResourceTerms>& from);

void WriteLimits(const SelectionLimits& limits, v1::Choice& choice);
// The limits and what they point at.
struct LoggedLimits {
  SelectionLimits limits;
  std::vector<uint32_t> forced;
  std::vector<uint8_t> beyond_headroom;
};
// `limits` lives no longer than `record`, which `choice` is of.
absl::Status ReadLimits(const v1::ChoiceRecord& record, const v1::Choice& choice,
                        LoggedLimits& limits);

// `cascade`: what SelectFirst said.
void WriteSelection(const SelectionResult& selection, bool cascade, v1::Choice& choice);

void WriteFollowUp(v1::FollowUp::Kind kind, double p_stay,
                   absl::Span<const EscalationOption> options, const EscalationLimits& limits,
                   const Escalation& decided, v1::FollowUp& follow_up);
void ReadFollowUp(const v1::FollowUp& follow_up, std::vector<EscalationOption>& options,
                  EscalationLimits& limits);

}  // namespace penstock::router
