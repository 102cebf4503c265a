#include "router_service/learning/train_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace penstock::router {

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
  absl::StrAppendFormat(&text, "\n%-20s %8s %8s %12s\n", "policy", "quality", "+-", unit);
  for (const PolicyReport& policy : report.policies) {
    absl::StrAppendFormat(&text, "%-20s %8.4f %8.4f %12.4g\n", policy.name, policy.quality,
                          policy.standard_error, policy.mean_cost);
  }
  absl::StrAppendFormat(&text, "gate: regret %.4f, minus random %.4f +- %.4f, l2 %.2g\n",
                        report.regret, report.gate_minus_random, report.gate_minus_random_error,
                        report.gate_l2);
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
  }
  for (const CascadePairReport& pair : report.cascades) {
    absl::StrAppendFormat(&text, "\ncascade %s -> %s: brier %.4f and %.4f, ece %.4f and %.4f\n",
                          pair.first, pair.other, pair.stay.brier, pair.big.brier, pair.stay.ece,
                          pair.big.ece);
    for (const EscalationPoint& point : pair.points) {
      absl::StrAppendFormat(&text, "  %5.1f%% asked twice: quality %.4f (random %.4f), %.4g %s\n",
                            100 * point.share, point.quality, point.random_quality, point.mean_cost,
                            unit);
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
    append("before", risk.before);
    append("after", risk.after);
  }
  for (const std::string& warning : report.warnings) absl::StrAppend(&text, "\nwarning: ", warning);
  if (!report.warnings.empty()) absl::StrAppend(&text, "\n");
  for (const std::string& file : report.files) absl::StrAppend(&text, "\nwrote ", file);
  if (!report.files.empty()) absl::StrAppend(&text, "\n");
  return text;
}

}  // namespace penstock::router
