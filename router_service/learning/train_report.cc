#include "router_service/learning/train_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace penstock::router {
namespace {

// ", 3.2 joules"; nothing where there is no such figure.
std::string CostOf(std::optional<double> mean_cost, const std::string& unit) {
  return mean_cost ? absl::StrFormat(", %.4g %s", *mean_cost, unit) : "";
}

void AppendPolicy(const CascadePolicyReport& policy, const std::string& unit, std::string& text) {
  absl::StrAppendFormat(&text, "\ncascade %s by %s, on %d held-out rows\n",
                        absl::StrJoin(policy.stages, " -> "), policy.policy, policy.rows);
  if (policy.rows == 0) return;
  const auto append = [&](absl::string_view name, const QualityAtCost& point) {
    absl::StrAppendFormat(&text, "  %-26s quality %.4f%s\n", name, point.quality,
                          CostOf(point.mean_cost, unit));
  };
  append(policy.stages.front() + " alone", policy.first);
  append(policy.stages.back() + " alone", policy.last);
  append(policy.policy, policy.served);
  if (policy.by_chance) {
    absl::StrAppendFormat(&text, "  at that cost, %s after %s      quality ", policy.stages.back(),
                          policy.stages.front());
    if (policy.by_price) absl::StrAppendFormat(&text, "%.4f by price, ", *policy.by_price);
    absl::StrAppendFormat(&text, "%.4f by chance\n", *policy.by_chance);
  }
  for (size_t i = 0; i < policy.stages.size(); ++i) {
    absl::StrAppendFormat(&text, "  %-26s asked %5.1f%%, answers %5.1f%%\n", policy.stages[i],
                          100 * policy.asked[i], 100 * policy.answered[i]);
  }
}

void AppendSlowCheck(const SlowCheckReport& slow, const std::string& unit, std::string& text) {
  absl::StrAppendFormat(&text, "\nsecond opinions of %s on %s at a price of %.4g\n", slow.verifier,
                        slow.first, slow.price);
  for (const SlowCheckPoint& point : slow.points) {
    absl::StrAppendFormat(&text, "  delta %.2f: %5.1f%% checked, quality %.4f, %.4g %s, net %.4f\n",
                          point.delta, 100 * point.checked, point.quality, point.mean_cost, unit,
                          point.quality - slow.price * point.mean_cost);
  }
}

void AppendCount(const CountReport& count, std::string& text) {
  absl::StrAppendFormat(&text, "\nvote of %.2f experts a request as counted: quality %.4f\n",
                        count.mean_count, count.quality);
  for (size_t i = 0; i < count.fixed.size(); ++i) {
    absl::StrAppendFormat(&text, "  of the first %d for every request: %.4f\n", i + 1,
                          count.fixed[i]);
  }
}

}  // namespace

std::string FormatTrainReport(const TrainReport& report) {
  std::string text = absl::StrFormat(
      "%d outcomes: %d to train on, %d held out (seed %d); %d features\n", report.rows,
      report.train_rows, report.heldout_rows, report.seed, report.dimension);
  const std::string unit = report.cost_unit.empty() ? "cost" : report.cost_unit;
  absl::StrAppendFormat(&text, "\n%-20s %8s %12s %8s %8s %8s %8s %6s\n", "expert", "quality", unit,
                        "brier", "ece", "logloss", "l2", "tau");
  for (const ExpertReport& expert : report.experts) {
    absl::StrAppendFormat(&text, "%-20s %8.4f %12.4g %8.4f %8.4f %8.4f %8.2g %6.3f\n", expert.name,
                          expert.quality, expert.mean_cost, expert.fit.brier, expert.fit.ece,
                          expert.fit.log_loss, expert.l2, expert.tau);
  }
  absl::StrAppend(&text,
                  "  (on held-out rows. quality: share right; ", unit,
                  ": mean of an answer. Of the predicted P(right), 0 being best:\n"
                  "  brier: mean squared error; ece: how far off it is on the mean, in 15 groups of equal "
                  "size;\n"
                  "  logloss: in nats. Of the fit: l2: penalty that the folds chose; tau: what scores are "
                  "divided by)\n");
  absl::StrAppendFormat(&text, "\n%-20s %8s %8s %12s\n", "policy", "quality", "+-", unit);
  for (const PolicyReport& policy : report.policies) {
    absl::StrAppendFormat(&text, "%-20s %8.4f %8.4f %12.4g\n", policy.name, policy.quality,
                          policy.standard_error, policy.mean_cost);
  }
  absl::StrAppend(&text,
                  "  (whom each would ask, and what comes of it. gate: its largest score; "
                  "quality_argmax: the largest\n"
                  "  predicted P(right); best_single: the best on training rows; ",
                  report.partial ? "logged: who was asked" : "oracle: who is right",
                  "; +-: standard error)\n");
  absl::StrAppend(&text, "gate: ");
  if (!report.partial) absl::StrAppendFormat(&text, "regret %.4f, ", report.regret);
  absl::StrAppendFormat(&text, "minus random %.4f +- %.4f, l2 %.2g\n", report.gate_minus_random,
                        report.gate_minus_random_error, report.gate_l2);
  if (report.gate) {
    const GateReport& gate = *report.gate;
    absl::StrAppendFormat(&text, "%s: quality %.4f +- %.4f of the first of %.2f experts a request\n",
                          gate.name, gate.quality, gate.standard_error, gate.experts_asked);
    const auto append = [&](const char* other, const GateDifference& minus) {
      absl::StrAppendFormat(&text, "  minus %-12s %8.4f, with 95 %% confidence %.4f to %.4f\n",
                            other, minus.difference, minus.low, minus.high);
    };
    append("topk_softmax", gate.minus_topk_softmax);
    append("random", gate.minus_random);
  }
  if (!report.budgets.empty()) {
    absl::StrAppendFormat(&text, "\n%12s %12s %8s %8s %8s   (by mean %s)\n", "budget", "spent",
                          "quality", "hull", "oracle", unit);
    for (const BudgetPoint& point : report.budgets) {
      absl::StrAppendFormat(&text, "%12.4g %12.4g %8.4f %8.4f %8.4f\n", point.budget, point.cost,
                            point.quality, point.hull_quality, point.oracle_quality);
    }
    absl::StrAppend(&text, "  (", unit,
                    " of a request. quality: as routed at one price; hull: the best mixture of two experts "
                    "for\n"
                    "  what was spent, whatever the request; oracle: as if who is right were known)\n");
  }
  for (const CascadePairReport& pair : report.cascades) {
    absl::StrAppendFormat(&text, "\ncascade %s -> %s: brier %.4f and %.4f, ece %.4f and %.4f\n",
                          pair.first, pair.other, pair.stay.brier, pair.big.brier, pair.stay.ece,
                          pair.big.ece);
    for (const EscalationPoint& point : pair.points) {
      absl::StrAppendFormat(&text, "  %5.1f%% asked twice: quality %.4f (random %.4f)%s\n",
                            100 * point.share, point.quality, point.random_quality,
                            CostOf(point.mean_cost, unit));
    }
  }
  if (report.cascade_risk) {
    const CascadeRiskReport& risk = *report.cascade_risk;
    absl::StrAppendFormat(&text, "\ncascade %s at risk %.4g, calibrated on %d held-out rows\n",
                          absl::StrJoin(risk.stages, " -> "), risk.alpha, risk.rows);
    const auto append = [&](const char* name, const CascadeRiskPoint& point) {
      absl::StrAppendFormat(&text, "  %-6s stands above a lead of %7.4f: %5.1f%% stand, risk %.4f\n",
                            name, point.lead, 100 * point.accepted, point.risk);
    };
    if (risk.rows > 0) append("before", risk.before);
    if (risk.rows > 0) append("after", risk.after);
  }
  if (report.cascade_policy) AppendPolicy(*report.cascade_policy, unit, text);
  if (report.slow_check) AppendSlowCheck(*report.slow_check, unit, text);
  if (report.count) AppendCount(*report.count, text);
  for (const std::string& warning : report.warnings) absl::StrAppend(&text, "\nwarning: ", warning);
  if (!report.warnings.empty()) absl::StrAppend(&text, "\n");
  for (const std::string& file : report.files) absl::StrAppend(&text, "\nwrote ", file);
  if (!report.files.empty()) absl::StrAppend(&text, "\n");
  return text;
}

}  // namespace penstock::router
