#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock::router {

// What a model says of itself on rows that it was not fitted on.
struct Fit {
  double brier = 0;
  double ece = 0;  // 15 bins of equal mass
  double log_loss = 0;
};

struct ExpertReport {
  std::string name;
  size_t heldout_rows = 0;
  double quality = 0;  // held-out mean
  double mean_cost = 0;
  Fit fit;
  double l2 = 0;
  double tau = 1;
};

// Mean quality of a policy on the held-out rows.
struct PolicyReport {
  std::string name;
  double quality = 0;
  double standard_error = 0;
  double mean_cost = 0;
};

// Quality at a mean cost per request. The price is found on the training rows, the figures are
// held-out.
struct BudgetPoint {
  double budget = 0;
  double cost = 0;
  double quality = 0;
  // The best mixture of two single experts at the same cost: what no knowledge of the request
  // reaches.
  double hull_quality = 0;
  double oracle_quality = 0;
};

struct EscalationPoint {
  double share = 0;  // of requests that go on to the dearer expert
  double quality = 0;
  double random_quality = 0;  // the same share, drawn without looking
  std::optional<double> mean_cost;  // where the table has costs
};

struct CascadePairReport {
  std::string first, other;
  double first_quality = 0, other_quality = 0;
  Fit stay, big;
  std::vector<EscalationPoint> points;
};

// A cascade on its calibration rows, where an answer stands that leads by more than `lead`.
struct CascadeRiskPoint {
  double lead = 0;
  double risk = 0;      // mean quality lost against the last stage
  double accepted = 0;  // share of the rows that the last stage need not answer
};

struct CascadeRiskReport {
  std::vector<std::string> stages;  // in the order asked
  size_t rows = 0;                  // that it is calibrated on
  double alpha = 0;                 // the risk that was stated
  bool always_escalates = false;    // the rows are too few for it
  CascadeRiskPoint before, after;
};

// The price rule with second opinions within delta of its boundary, on the held-out rows.
struct SlowCheckPoint {
  double delta = 0;
  double checked = 0;  // share of the rows
  double quality = 0;
  double mean_cost = 0;
};

struct SlowCheckReport {
  std::string first, verifier;
  double price = 0;
  std::vector<SlowCheckPoint> points;
};

// A vote of as many experts as a gate says for each held-out request.
struct CountReport {
  double mean_count = 0;
  double quality = 0;
  std::vector<double> fixed;  // quality of the vote of the first 1, 2, ... for every request
};

struct QualityAtCost {
  double quality = 0;
  std::optional<double> mean_cost;  // where the table tells the cost of every row
};

// A cascade's policy on held-out rows that it was neither fitted nor chosen on, as its file serves it.
struct CascadePolicyReport {
  std::string policy;
  std::vector<std::string> stages;
  size_t rows = 0;
  QualityAtCost served;
  double standard_error = 0;     // of the served quality
  std::vector<double> answered;  // share of the rows that each stage answers
  std::vector<double> asked;     // share of the rows that each stage is asked
  QualityAtCost first, last;     // alone
  // At the same mean cost, last after first: by the largest p_big - p_stay, as price would have it
  // where the first says how sure it is, and drawn without looking. Not without costs.
  std::optional<double> by_price, by_chance;
};

// Difference of two policies mean quality on the held-out rows, with its 95 % confidence interval.
struct GateDifference {
  double difference = 0;
  double low = 0;
  double high = 0;
};

// A sparse gate that was trained beside the top-k softmax one, as its file serves it.
struct GateReport {
  std::string name;
  double quality = 0;  // of the expert with the largest weight
  double standard_error = 0;
  double experts_asked = 0;  // with weight, a request
  GateDifference minus_topk_softmax, minus_random;
};

struct TrainReport {
  size_t rows = 0, train_rows = 0, heldout_rows = 0, dimension = 0;
  uint64_t seed = 0;
  std::string cost_unit;  // "joules", "flops", "seconds"; empty: the table has no costs
  std::vector<ExpertReport> experts;
  // gate, quality_argmax, random, best_single (chosen on the training rows), oracle. Of a log of
  // decisions doubly robust estimates, and `logged`, what was asked, instead of the oracle.
  bool partial = false;
  std::vector<PolicyReport> policies;
  double gate_l2 = 0;
  double regret = 0;             // oracle - gate; not of a log of decisions
  double gate_minus_random = 0;  // with the standard error of the paired difference
  double gate_minus_random_error = 0;
  size_t minimum_k = 1;  // a gate with k below it wastes slots on experts that behave alike
  std::vector<BudgetPoint> budgets;
  std::vector<CascadePairReport> cascades;
  std::optional<CascadeRiskReport> cascade_risk;  // where a risk was stated
  std::optional<CascadePolicyReport> cascade_policy;  // where a policy was asked for
  std::optional<SlowCheckReport> slow_check;          // where a verifier was named
  std::optional<CountReport> count;                   // where a count gate was asked for
  std::optional<GateReport> gate;  // where a sparse gate was asked for
  std::vector<std::string> files;
  std::vector<std::string> warnings;
};

// A few dozen lines for a terminal.
std::string FormatTrainReport(const TrainReport& report);

}  // namespace penstock::router
