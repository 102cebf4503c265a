#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace penstock::router {

// One logged request whose answer was reported on.
struct LoggedChoice {
  size_t expert = 0;      // that answered
  double quality = 0;     // as reported
  double propensity = 1;  // with which it was chosen, in (0, 1]
};

struct OffPolicyEstimate {
  double value = 0;  // mean quality that the policy would have had
  double standard_error = 0;
  double direct = 0;      // by the model alone
  double importance = 0;  // by reweighted reports alone
  // Of the weights policy / propensity: (sum w)^2 / sum w^2. A small share of the requests says
  // little of the policy.
  double effective_requests = 0;
};

// What a policy is worth by what another one's choices were reported to be worth: the mean over
// requests of
//   sum_a pi(a) m(a) + pi(a_t) / p_t (r_t - m(a_t)),
// unbiased where either the propensities or the model m are right (Dudik, Langford and Li 2011,
// arXiv:1103.4601). `model` and `policy` are [requests, experts]; each row of `policy` is a
// distribution. INVALID_ARGUMENT where sizes, propensities or distributions are wrong.
absl::StatusOr<OffPolicyEstimate> EvaluateOffPolicy(absl::Span<const LoggedChoice> logged,
                                                    size_t experts, absl::Span<const float> model,
                                                    absl::Span<const float> policy);

// The summands of that mean, by request: for paired differences of policies.
absl::StatusOr<std::vector<double>> DoublyRobustValues(absl::Span<const LoggedChoice> logged,
                                                       size_t experts,
                                                       absl::Span<const float> model,
                                                       absl::Span<const float> policy);

}  // namespace penstock::router
