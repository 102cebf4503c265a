#include "router_service/combining/best_answer.h"

#include "absl/status/status.h"

namespace penstock::router {

absl::StatusOr<std::vector<Tensor>> BestAnswer::Combine(
    absl::Span<const ExpertAnswer> answers) const {
  if (answers.empty()) return absl::InternalError("no answer to combine");
  const ExpertAnswer* best = &answers[0];
  for (const ExpertAnswer& answer : answers) {
    if (answer.weight > best->weight ||
        (answer.weight == best->weight && answer.expert < best->expert)) {
      best = &answer;
    }
  }
  return *best->outputs;  // shares the tensors' bytes
}

}  // namespace penstock::router
