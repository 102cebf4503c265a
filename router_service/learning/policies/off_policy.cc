#include "router_service/learning/policies/off_policy.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

absl::Status Check(absl::Span<const LoggedChoice> logged, size_t experts,
                   absl::Span<const float> model, absl::Span<const float> policy) {
  if (logged.empty()) return absl::InvalidArgumentError("no reported choices");
  if (model.size() != logged.size() * experts || policy.size() != model.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("wanted ", logged.size(), " x ", experts, " entries, got ", model.size(),
                     " of the model and ", policy.size(), " of the policy"));
  }
  for (size_t t = 0; t < logged.size(); ++t) {
    const LoggedChoice& choice = logged[t];
    if (choice.expert >= experts) {
      return absl::InvalidArgumentError(
          absl::StrCat("request ", t, ": expert ", choice.expert, " of ", experts));
    }
    if (!(choice.propensity > 0 && choice.propensity <= 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("request ", t, ": propensity is ", choice.propensity, ", wanted (0, 1]"));
    }
    double sum = 0;
    for (size_t a = 0; a < experts; ++a) {
      const float share = policy[t * experts + a];
      if (!(share >= 0)) {
        return absl::InvalidArgumentError(
            absl::StrCat("request ", t, ": the policy's share of expert ", a, " is ", share));
      }
      sum += share;
    }
    if (!(std::abs(sum - 1) <= 1e-4)) {
      return absl::InvalidArgumentError(
          absl::StrCat("request ", t, ": the policy's shares sum to ", sum));
    }
  }
  return absl::OkStatus();
}

// Of one request.
struct Summand {
  double direct = 0, weight = 0, value = 0;

  Summand(const LoggedChoice& choice, absl::Span<const float> model,
          absl::Span<const float> policy) {
    for (size_t a = 0; a < model.size(); ++a) direct += policy[a] * model[a];
    weight = policy[choice.expert] / choice.propensity;
    value = direct + weight * (choice.quality - model[choice.expert]);
  }
};

}  // namespace

absl::StatusOr<std::vector<double>> DoublyRobustValues(absl::Span<const LoggedChoice> logged,
                                                       size_t experts,
                                                       absl::Span<const float> model,
                                                       absl::Span<const float> policy) {
  PENSTOCK_RETURN_IF_ERROR(Check(logged, experts, model, policy));
  std::vector<double> values;
  for (size_t t = 0; t < logged.size(); ++t) {
    values.push_back(Summand(logged[t], model.subspan(t * experts, experts),
                             policy.subspan(t * experts, experts))
                         .value);
  }
  return values;
}

absl::StatusOr<OffPolicyEstimate> EvaluateOffPolicy(absl::Span<const LoggedChoice> logged,
                                                    size_t experts, absl::Span<const float> model,
                                                    absl::Span<const float> policy) {
  PENSTOCK_RETURN_IF_ERROR(Check(logged, experts, model, policy));
  const auto requests = static_cast<double>(logged.size());
  OffPolicyEstimate estimate;
  double squares = 0, weights = 0, weight_squares = 0;
  for (size_t t = 0; t < logged.size(); ++t) {
    const LoggedChoice& choice = logged[t];
    const Summand of(choice, model.subspan(t * experts, experts),
                     policy.subspan(t * experts, experts));
    estimate.value += of.value / requests;
    estimate.direct += of.direct / requests;
    estimate.importance += of.weight * choice.quality / requests;
    squares += of.value * of.value;
    weights += of.weight;
    weight_squares += of.weight * of.weight;
  }
  if (requests > 1) {
    const double variance = (squares - requests * estimate.value * estimate.value) / (requests - 1);
    estimate.standard_error = std::sqrt(std::max(0.0, variance) / requests);
  }
  estimate.effective_requests = weight_squares > 0 ? weights * weights / weight_squares : 0;
  return estimate;
}

}  // namespace penstock::router
