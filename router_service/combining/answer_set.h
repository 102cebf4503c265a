#pragma once

#include <string>
#include <vector>

#include "router_service/combining/combiner.h"

namespace penstock::router {

// Answers in the order of their experts, checked against each other, weights summing to 1.
struct AnswerSet {
  std::vector<ExpertAnswer> answers;
  size_t heaviest = 0;  // index in `answers`
};
absl::StatusOr<AnswerSet> MakeAnswerSet(absl::Span<const ExpertAnswer> answers);

// INTERNAL unless `outputs` has the names, types and, after the leading `skip` dimensions, shapes
// of `wanted`.
absl::Status CheckSameOutputs(absl::string_view expert, const std::vector<Tensor>& outputs,
                              absl::string_view wanted_expert, const std::vector<Tensor>& wanted,
                              size_t skip);

// Scales each run of `width` to sum 1. INTERNAL where a sum is not positive and finite.
absl::Status Renormalise(absl::Span<float> values, size_t width, absl::string_view output);

// Values of `tensor`; INTERNAL names `expert` where one is not finite (or, for `distribution`,
// negative).
absl::StatusOr<std::vector<float>> CheckedFloats(absl::string_view expert, const Tensor& tensor,
                                                 bool distribution);

}  // namespace penstock::router
