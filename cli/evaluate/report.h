#pragma once

#include <map>
#include <string>
#include <vector>

namespace penstock::cli {

// One way of asking (a pool budget, a cap, a latency budget) over all requests of the data set.
struct ReportRow {
  double energy_budget_j = 0;    // 0: none
  double latency_budget_ms = 0;  // 0: none
  bool binds = false;            // without it the requests would have taken more
  double accuracy = 0;
  double standard_error = 0;
  double energy_j_mean = 0;
  double overhead_j_mean = 0;    // CPU seconds of gateway and router times the configured watts
  std::string energy_method;
  double p50_ms = 0;
  double p99_ms = 0;
  double deadline_hit_share = 1;
  double over_cap_share = 0;     // reported joules above the cap of the request
  std::map<std::string, double> shares;  // who answered
  // At energy_j_mean + overhead_j_mean: the routing's own joules count on its side.
  double hull_accuracy = 0;
  double random_accuracy = 0;
  double shuffled_accuracy = 0;
  double hindsight_accuracy = 0;
};

struct ReportBaseline {
  std::string name;  // "smallest", "largest"
  std::string expert;
  double accuracy = 0;
  double energy_j_mean = 0;
  double p50_ms = 0;
};

struct Report {
  size_t requests = 0;
  std::vector<ReportBaseline> baselines;
  std::vector<ReportBaseline> experts;
  std::vector<ReportRow> budgets;
  std::vector<ReportRow> caps;
  std::vector<ReportRow> latency;
};

std::string ReportJson(const Report& report);
// For people: tables, and what the columns mean.
std::string ReportText(const Report& report);

}  // namespace penstock::cli
