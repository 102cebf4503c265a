#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/client/pool_client.h"
#include "cli/evaluate/baselines.h"
#include "cli/evaluate/labelled_data.h"
#include "cli/evaluate/report.h"

namespace penstock::cli {

struct EvaluateOptions {
  std::string pool;
  std::string input = "image";
  std::string label_output = "label";
  int budgets = 4;    // pool budgets, log-spaced between the smallest and the largest expert
  int caps = 3;       // caps on single requests, likewise
  int latencies = 2;  // half the largest expert's p50, and halving from there
  std::string gateway_metrics;  // HOST:PORT; empty: the routing's own joules are not measured
  std::string expert_metrics;
  double watts_per_core = 10;
  uint64_t seed = 1;
};

// Sends a labelled data set through a pool under several budgets and sets the results beside what
// single experts, chance and hindsight would have had.
class Evaluator {
 public:
  Evaluator(PoolClient& client, const LabelledData& data, EvaluateOptions options)
      : client_(client), data_(data), options_(std::move(options)) {}

  absl::StatusOr<Report> Run();

 private:
  // What one pass over the data set gave.
  struct Pass {
    std::vector<uint8_t> right;
    std::vector<int> answered_by;  // index into experts_
    std::vector<double> energy_j;
    std::vector<double> latency_ms;
    std::string energy_method;
    double overhead_j_mean = 0;
  };

  absl::Status FindExperts();
  absl::StatusOr<Pass> Send(const std::string& what, const std::vector<OutParameter>& parameters);
  absl::Status RunExpertsAlone();
  absl::Status SetPoolBudget(double joules_per_request);
  absl::StatusOr<double> RoutingCpuSeconds() const;
  ReportRow RowOf(const Pass& pass) const;
  absl::Status RunBudgets(double unlimited_j, Report& report);
  absl::Status RunCaps(double unlimited_largest_j, Report& report);
  absl::Status RunLatencies(double unlimited_p99_ms, Report& report);
  // Between the smallest and the largest expert's joules, ends left out.
  std::vector<double> LogSpaced(int count) const;

  PoolClient& client_;
  const LabelledData& data_;
  const EvaluateOptions options_;
  std::vector<std::string> experts_;
  std::vector<ReportBaseline> alone_;  // as experts_
  OutcomeMatrix outcomes_;
  size_t smallest_ = 0;
  size_t largest_ = 0;
};

}  // namespace penstock::cli
