#include "router_service/learning/cascades/slow_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "router_service/dispatch/attempts/cascade.h"
#include "router_service/learning/linear/logistic_heads.h"
#include "router_service/learning/policies/policy_evaluation.h"
#include "router_service/learning/prediction_metrics.h"
#include "router_service/quality/cascade/slow_estimate.h"
#include "router_service/quality/cascade_quality.h"

namespace penstock::router {
namespace {

constexpr size_t kParameters = SlowEstimate::kParameters;
constexpr size_t kSlopes = kParameters - 1;
// Five slopes and an offset want some more rows than two slopes do.
constexpr size_t kLeastRows = 50;
const std::vector<double> kL2Grid = {0.1, 0.01, 0.001, 0.0001};

std::optional<Verification> VerificationOf(const OutcomeTable& table, size_t standing,
                                           size_t verifier, size_t row) {
  const size_t a = table.At(standing, row), b = table.At(verifier, row);
  Verification both{table.confidence[a], table.confidence[b]};
  if (both.standing.first < 0 || both.verifier.first < 0 || std::isnan(table.quality[a])) {
    return std::nullopt;
  }
  if (table.answers[a] != 0 && table.answers[b] != 0) {
    both.agreement = table.answers[a] == table.answers[b] ? 1.0f : -1.0f;
  }
  return both;
}

std::vector<size_t> RowsWithBoth(const OutcomeTable& table, size_t standing, size_t verifier) {
  std::vector<size_t> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    if (VerificationOf(table, standing, verifier, row)) rows.push_back(row);
  }
  return rows;
}

// One row under the rule: whose answer is given, what was paid.
struct RowOutcome {
  double quality = 0, cost = 0;
  bool checked = false;
};

class Rule {
 public:
  Rule(const CascadeFit& fast, const SlowFit& slow, const OutcomeTable& train,
       const OutcomeTable& heldout, size_t first, double price)
      : fast_(fast), slow_(slow), heldout_(heldout), costs_(MeanCosts(train)), first_(first) {
    limits_.price_per_joule = price;
  }

  RowOutcome Run(size_t row, double delta) const {
    const size_t experts = costs_.size();
    const AnswerConfidence& confidence = heldout_.confidence[heldout_.At(first_, row)];
    std::vector<EscalationOption> options;
    for (size_t e = 0; e < experts; ++e) {
      options.push_back({e, fast_.Predict(experts, first_, e, confidence), costs_[e], 0,
                         e != first_ && !std::isnan(heldout_.quality[heldout_.At(e, row)])});
    }
    RowOutcome outcome;
    outcome.cost = Cost(first_, row);
    Escalation decision = DecideEscalation(options[first_].p_right, options, limits_);
    const double priced = limits_.price_per_joule * costs_[slow_.verifier] / limits_.value;
    if (options[slow_.verifier].admissible &&
        NearBoundary(decision, limits_.value, delta - priced) &&
        VerificationOf(heldout_, first_, slow_.verifier, row)) {
      outcome.checked = true;
      outcome.cost += Cost(slow_.verifier, row);
      for (EscalationOption& option : options) {
        option.p_right = slow_.Predict(experts, first_, option.expert, heldout_, row);
      }
      options[slow_.verifier].energy_j = 0;
      decision = DecideEscalation(options[first_].p_right, options, limits_);
    }
    const size_t answers = decision.option.value_or(first_);
    if (answers != first_ && !(outcome.checked && answers == slow_.verifier)) {
      outcome.cost += Cost(answers, row);
    }
    outcome.quality = heldout_.quality[heldout_.At(answers, row)];
    return outcome;
  }

 private:
  double Cost(size_t expert, size_t row) const {
    const float own = heldout_.cost[heldout_.At(expert, row)];
    return std::isnan(own) ? costs_[expert] : own;
  }

  const CascadeFit& fast_;
  const SlowFit& slow_;
  const OutcomeTable& heldout_;
  const std::vector<double> costs_;
  const size_t first_;
  EscalationLimits limits_;
};

}  // namespace

float SlowFit::Predict(size_t experts, size_t standing, size_t asked, const OutcomeTable& table,
                       size_t row) const {
  const std::optional<Verification> both = VerificationOf(table, standing, verifier, row);
  if (!both) return std::nanf("");
  const std::array<double, kSlopes> f = VerificationFeatures(*both);
  const float* w = weight.data() + (standing * experts + asked) * kParameters;
  double logit = w[0];
  for (size_t i = 0; i < f.size(); ++i) logit += w[i + 1] * f[i];
  return static_cast<float>(1 / (1 + std::exp(-logit)));
}

SlowFit FitSlow(const OutcomeTable& train, absl::Span<const int> fold, int folds,
                const OutcomeTable& heldout, size_t verifier, std::vector<std::string>& warnings) {
  const size_t experts = train.experts.size();
  SlowFit fit;
  fit.verifier = verifier;
  fit.weight.assign(experts * experts * kParameters, 0.0f);
  fit.knows.assign(experts, 0);
  for (size_t standing = 0; standing < experts; ++standing) {
    const std::vector<size_t> rows = RowsWithBoth(train, standing, verifier);
    if (standing == verifier || rows.size() < kLeastRows) continue;
    std::vector<float> x, labels;
    std::vector<int> row_fold;
    for (const size_t row : rows) {
      const auto both = VerificationOf(train, standing, verifier, row);
      for (const double f : VerificationFeatures(*both)) x.push_back(static_cast<float>(f));
      row_fold.push_back(fold[row]);
    }
    for (size_t asked = 0; asked < experts; ++asked) {
      for (const size_t row : rows) labels.push_back(train.quality[train.At(asked, row)]);
    }
    const LogisticHeads heads =
        FitCalibratedHeads(x, kSlopes, labels, experts, row_fold, {kL2Grid, folds});
    for (size_t asked = 0; asked < experts; ++asked) {
      float* w = fit.weight.data() + (standing * experts + asked) * kParameters;
      w[0] = heads.bias[asked];
      std::copy_n(heads.weight.data() + asked * kSlopes, kSlopes, w + 1);
    }
    std::vector<float> p, own;
    for (const size_t row : RowsWithBoth(heldout, standing, verifier)) {
      p.push_back(fit.Predict(experts, standing, standing, heldout, row));
      own.push_back(heldout.quality[heldout.At(standing, row)]);
    }
    if (p.empty()) {
      warnings.push_back(absl::StrCat("no held-out row tells how well the second opinion of \"",
                                      train.experts[verifier], "\" on \"", train.experts[standing],
                                      "\" is calibrated: it is not asked for"));
      continue;
    }
    const double error = CalibrationError(p, own);
    fit.knows[standing] = error <= CascadeQuality::kMostError;
    if (fit.knows[standing]) continue;
    warnings.push_back(absl::StrCat("the second opinion of \"", train.experts[verifier], "\" on \"",
                                    train.experts[standing], "\" has a calibration error of ",
                                    error, " on held-out rows: it is not asked for"));
  }
  return fit;
}

SlowCheckReport EvaluateSlow(const CascadeFit& fast, const SlowFit& slow, const OutcomeTable& train,
                             const OutcomeTable& heldout, size_t first, double price) {
  SlowCheckReport report;
  report.first = train.experts[first];
  report.verifier = train.experts[slow.verifier];
  report.price = price;
  const Rule rule(fast, slow, train, heldout, first, price);
  for (const double delta : {0.0, 0.02, 0.05, 0.1, 0.2, 0.5}) {
    SlowCheckPoint point;
    point.delta = delta;
    double count = 0;
    for (const size_t row : RowsWithBoth(heldout, first, slow.verifier)) {
      const RowOutcome outcome = rule.Run(row, delta);
      count += 1;
      point.checked += outcome.checked;
      point.quality += outcome.quality;
      point.mean_cost += outcome.cost;
    }
    if (count == 0) continue;
    point.checked /= count;
    point.quality /= count;
    point.mean_cost /= count;
    report.points.push_back(point);
  }
  return report;
}

}  // namespace penstock::router
