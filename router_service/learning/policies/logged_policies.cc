#include "router_service/learning/policies/logged_policies.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/learning/policies/off_policy.h"
#include "router_service/learning/policies/policy_evaluation.h"

namespace penstock::router {
namespace {

// A choice that was less probable counts as if it had been this probable: one row must not outweigh
// all others.
constexpr double kLeastPropensity = 1e-3;

// The held-out rows as off-policy evaluation takes them.
class Log {
 public:
  Log(const OutcomeTable& table, absl::Span<const float> predictions)
      : experts_(table.experts.size()), costs_(MeanCosts(table)) {
    for (size_t row = 0; row < table.rows(); ++row) {
      const float p = table.propensity[row];
      choices_.push_back({table.asked[row], table.quality[table.At(table.asked[row], row)],
                          std::isnan(p) ? 1.0 : std::clamp<double>(p, kLeastPropensity, 1.0)});
      for (size_t e = 0; e < experts_; ++e) model_.push_back(predictions[table.At(e, row)]);
    }
  }

  // [rows, experts]
  std::vector<float> Sure(absl::Span<const size_t> choice) const {
    std::vector<float> policy(model_.size(), 0.0f);
    for (size_t row = 0; row < choice.size(); ++row) policy[row * experts_ + choice[row]] = 1;
    return policy;
  }
  std::vector<float> Random() const {
    return std::vector<float>(model_.size(), 1.0f / static_cast<float>(experts_));
  }

  absl::StatusOr<PolicyReport> Evaluate(std::string name, const std::vector<float>& policy) const {
    PENSTOCK_ASSIGN_OR_RETURN(const OffPolicyEstimate estimate,
                              EvaluateOffPolicy(choices_, experts_, model_, policy));
    double cost = 0;
    for (size_t at = 0; at < policy.size(); ++at) cost += policy[at] * costs_[at % experts_];
    return PolicyReport{std::move(name), estimate.value, estimate.standard_error,
                        cost / static_cast<double>(choices_.size())};
  }
  absl::StatusOr<std::vector<double>> Values(const std::vector<float>& policy) const {
    return DoublyRobustValues(choices_, experts_, model_, policy);
  }

 private:
  const size_t experts_;
  const std::vector<double> costs_;
  std::vector<LoggedChoice> choices_;
  std::vector<float> model_;  // [rows, experts]
};

void Compare(const std::vector<double>& a, const std::vector<double>& b, double& difference,
             double& standard_error) {
  const double n = static_cast<double>(a.size());
  difference =
      (std::accumulate(a.begin(), a.end(), 0.0) - std::accumulate(b.begin(), b.end(), 0.0)) / n;
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double off = a[i] - b[i] - difference;
    squares += off * off;
  }
  standard_error = n > 1 ? std::sqrt(squares / (n - 1) / n) : 0;
}

}  // namespace

OutcomeTable WithBlanksPredicted(OutcomeTable table, const LogisticHeads& heads) {
  for (size_t row = 0; row < table.rows(); ++row) {
    const auto z =
        absl::MakeConstSpan(table.features).subspan(row * table.dimension, table.dimension);
    for (size_t e = 0; e < table.experts.size(); ++e) {
      float& quality = table.quality[table.At(e, row)];
      if (std::isnan(quality)) quality = heads.Predict(e, z);
    }
  }
  return table;
}

absl::Status CompareLoggedPolicies(const OutcomeTable& train, const OutcomeTable& heldout,
                                   absl::Span<const float> gate_logits,
                                   absl::Span<const float> predictions, TrainReport& report) {
  const size_t experts = heldout.experts.size(), rows = heldout.rows();
  size_t best = 0;
  for (size_t e = 1; e < experts; ++e) {
    if (MeanQuality(train, e) > MeanQuality(train, best)) best = e;
  }
  const Log log(heldout, predictions);
  const std::vector<float> gate = log.Sure(LargestScore(gate_logits, experts, rows));
  const std::vector<std::pair<const char*, std::vector<float>>> policies = {
      {"gate", gate},
      {"quality_argmax", log.Sure(LargestScore(predictions, experts, rows))},
      {"random", log.Random()},
      {"best_single", log.Sure(std::vector<size_t>(rows, best))}};
  for (const auto& [name, policy] : policies) {
    PENSTOCK_ASSIGN_OR_RETURN(PolicyReport evaluated, log.Evaluate(name, policy));
    report.policies.push_back(std::move(evaluated));
  }
  report.policies.push_back(EvaluateChoice("logged", heldout, heldout.asked));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<double> of_gate, log.Values(gate));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<double> of_random, log.Values(log.Random()));
  Compare(of_gate, of_random, report.gate_minus_random, report.gate_minus_random_error);
  const auto told = std::count_if(heldout.propensity.begin(), heldout.propensity.end(),
                                  [](float p) { return !std::isnan(p); });
  if (static_cast<size_t>(told) < rows) {
    report.warnings.push_back(absl::StrCat(
        told, " of ", rows,
        " held-out decisions tell how probable their choice was: of the others the figures of "
        "policies are as good as the predictions, no better"));
  }
  return absl::OkStatus();
}

}  // namespace penstock::router
