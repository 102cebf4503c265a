#include "bench/replay/budget_question.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/simulation/hindsight.h"
#include "router_service/simulation/simulation.h"
#include "router_service/simulation/spend_report.h"

namespace penstock::router {
namespace {

using Json = nlohmann::ordered_json;
using config::v1::Budget;

constexpr double kShares[] = {0.25, 0.5, 0.75};
constexpr double kWrong = 30;

// How prices are set in a row.
struct Way {
  const char* question;
  const char* contender;
  PriceRule rule = PriceRule::kCredit;
  double start = 1;  // times the offline price
  bool fixed = false;
  bool hard = false;
  size_t rate = 1;
};

constexpr Way kPerRequest[] = {
    {.question = "budget", .contender = "penstock"},
    {.question = "budget_start_price", .contender = "penstock", .start = kWrong},
    {.question = "budget_start_price", .contender = "penstock", .start = 1 / kWrong},
    {.question = "budget_other_rule",
     .contender = "mirror descent",
     .rule = PriceRule::kMirrorDescent},
    {.question = "budget_other_rule",
     .contender = "mirror descent",
     .rule = PriceRule::kMirrorDescent,
     .start = kWrong},
    {.question = "budget_other_rule", .contender = "fixed price", .fixed = true},
};
constexpr Way kWatts[] = {
    {.question = "budget", .contender = "penstock"},
    {.question = "budget_start_price", .contender = "penstock", .start = kWrong},
    {.question = "budget_start_price", .contender = "penstock", .start = 1 / kWrong},
    {.question = "budget_rate", .contender = "penstock", .rate = 3},
    {.question = "budget_rate", .contender = "penstock", .rate = 10},
    {.question = "budget_rate", .contender = "penstock", .hard = true, .rate = 10},
    {.question = "budget_other_rule", .contender = "fixed price", .fixed = true},
};

// One run as a row.
absl::StatusOr<Json> RunOnce(const ReplayCase& replay, const NamedTrace& named, const Way& way,
                             bool watts, double share, uint64_t seed) {
  const OutcomeMatrix& outcomes = replay.outcomes;
  const double mean = share * outcomes.MeanJoules(outcomes.BestSingle());
  const ArrivalTrace trace = way.rate == 1 ? named.trace : named.trace.Faster(way.rate);
  SpendTarget target;
  if (watts) {
    target.watts = mean * named.trace.rate();
  } else {
    target.joules_per_request = mean;
  }
  SimulationOptions options;
  options.seed = seed;
  Budget& budget = options.budgets.emplace_back();
  budget.set_amount(watts ? target.watts : mean);
  budget.set_per(watts ? Budget::SECOND : Budget::REQUEST);
  budget.set_hard(way.hard);
  options.pacer.rule = way.rule;
  options.pacer.learning = !way.fixed;
  // An operator's price from yesterday's traffic is as good as the offline one.
  options.pacer.trust_start_price = way.start == 1;
  options.pacer.start_price_per_joule = way.start * OfflinePrice(outcomes, mean);
  PENSTOCK_ASSIGN_OR_RETURN(const SimulationResult result, Simulate(trace, outcomes, options));
  const SpendReport report = MakeSpendReport(result, outcomes, target);
  // What hindsight could spend: the budget of all these requests.
  const double each =
      watts ? target.watts * report.seconds / static_cast<double>(report.requests) : mean;
  const std::vector<uint32_t> rows = RowsOf(result);
  const HindsightPlan best = Hindsight(outcomes, rows, each, HindsightCost::kPredicted);
  const HindsightPlan bound = Hindsight(outcomes, rows, each, HindsightCost::kActual);
  const double singles = MixedSingles(outcomes, rows, each);
  Json row = {{"question", way.question},
              {"contender", way.contender},
              {"set", replay.set},
              {"trace", named.name},
              {"unit", watts ? "watts" : "request"},
              {"budget_share", share},
              {"seed", seed},
              {"start_price_factor", way.start},
              {"rate", way.rate},
              {"hard", way.hard},
              {"spend_error", std::abs(report.spend_error)},
              {"spend_error_signed", report.spend_error},
              {"window_error_mean", report.window_error_mean},
              {"window_error_worst", report.window_error_worst},
              {watts ? "deviation_worst_s" : "deviation_worst_requests", report.deviation_worst},
              {watts ? "overspent_worst_s" : "overspent_worst_requests", report.overspent_worst},
              {"share_of_hindsight", report.quality / best.quality},
              {"share_of_hindsight_predicted", report.predicted_quality / best.predicted_quality},
              {"share_of_true_joules_bound", report.quality / bound.quality},
              {"gain_share", best.quality > singles ? (report.quality - singles) /
                                                          (best.quality - singles)
                                                    : std::nan("")},
              {"quality", report.quality},
              {"hindsight_quality", best.quality},
              {"mixed_singles_quality", singles},
              {"energy_j_mean", report.joules_mean},
              {"power_w", report.watts},
              {"refused_share", static_cast<double>(report.refused) /
                                    static_cast<double>(report.requests)},
              {"degraded_share", static_cast<double>(report.degraded) /
                                     static_cast<double>(report.requests)},
              {"affordable", each > outcomes.MeanJoules(outcomes.Cheapest())},
              {"digest", absl::StrCat(absl::Hex(result.digest, absl::kZeroPad16))}};
  return row;
}

}  // namespace

absl::StatusOr<Json> BudgetQuestion(const ReplayCase& replay, uint64_t seeds) {
  Json rows = Json::array();
  for (const NamedTrace& trace : replay.traces) {
    for (const double share : kShares) {
      for (uint64_t seed = 1; seed <= seeds; ++seed) {
        for (const Way& way : kPerRequest) {
          PENSTOCK_ASSIGN_OR_RETURN(Json row, RunOnce(replay, trace, way, false, share, seed));
          rows.push_back(std::move(row));
        }
        for (const Way& way : kWatts) {
          PENSTOCK_ASSIGN_OR_RETURN(Json row, RunOnce(replay, trace, way, true, share, seed));
          rows.push_back(std::move(row));
        }
      }
    }
  }
  return rows;
}

}  // namespace penstock::router
