#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router_service/selection/batch_assigner.h"

namespace penstock::router {

// What a column's sum is held to.
enum class ColumnRule : uint8_t {
  kShare,  // s_j = requests * capacity_j / sum of capacities: the load is balanced
  kLimit,  // at most capacity_j: what is free may stay free
};

struct TransportOptions {
  // Weight xi of the plan's entropy, in units of affinity, above 0.
  double entropy = 0.05;
  size_t iterations = 100;
  // Of a column's sum, times max(1, s_j).
  double tolerance = 1e-4;
  ColumnRule columns = ColumnRule::kShare;
};

// Pi = argmax <Pi, C> - xi <Pi, log Pi> with rows that sum to 1 and columns under `columns`:
// alternating projections on the dual potentials (Sinkhorn; Cuturi 2013, arXiv:1306.0895; in
// routing: Selective Sinkhorn Routing). A limit projects on column sums at most s_j: its potential
// never rises above 0. The kernel holds what the potentials make of it and is formed anew, from
// logarithms, where a scaling leaves the range of doubles: any entropy above 0 is safe. Not
// thread-safe: the workspace is reused.
class TransportPlan {
 public:
  explicit TransportPlan(TransportOptions options) : options_(options) {}

  // Rows without an admissible expert stay 0 and do not count as requests.
  void Solve(const BatchProblem& problem);

  // [requests, experts].
  absl::Span<const double> plan() const { return plan_; }
  // What the columns were held to.
  absl::Span<const double> columns() const { return target_; }
  size_t iterations() const { return iterations_; }
  bool converged() const { return converged_; }

 private:
  void SetTargets(const BatchProblem& problem);
  // One projection on columns, one on rows, by logarithms; forms the kernel.
  void ProjectByLogarithm();
  // The same by multiplication; false: a scaling left its range, and nothing changed.
  bool ProjectByScaling();
  // Of the plan as it stands, whose rows sum to 1.
  bool ColumnsHold();

  const TransportOptions options_;
  size_t rows_ = 0, experts_ = 0;
  std::vector<double> target_;                // [experts]
  std::vector<double> score_;                 // [rows, experts], C / xi, -inf: inadmissible
  std::vector<double> row_log_, column_log_;  // potentials that the kernel holds
  std::vector<double> kernel_;                // [rows, experts]
  std::vector<double> row_scale_, column_scale_, next_rows_, next_columns_, sums_;
  std::vector<double> plan_;
  std::vector<uint8_t> live_;  // rows that somebody may answer
  size_t iterations_ = 0;
  bool converged_ = false;
};

}  // namespace penstock::router
