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
  double mean_cost = 0;
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

// Difference of two policies' mean quality on the held-out rows, with its 95 % confidence interval.
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
  // gate, quality_argmax, random, best_single (chosen on the training rows), oracle.
  std::vector<PolicyReport> policies;
  double gate_l2 = 0;
  double regret = 0;             // oracle - gate
  double gate_minus_random = 0;  // with the standard error of the paired difference
  double gate_minus_random_error = 0;
  size_t minimum_k = 1;  // a gate with k below it wastes slots on experts that behave alike
  std::vector<BudgetPoint> budgets;
  std::vector<CascadePairReport> cascades;
  std::optional<CascadeRiskReport> cascade_risk;  // where a risk was stated
  std::optional<GateReport> gate;  // where a sparse gate was asked for
  std::vector<std::string> files;
  std::vector<std::string> warnings;
};

// A few dozen lines for a terminal.
std::string FormatTrainReport(const TrainReport& report);

}  // namespace penstock::router
