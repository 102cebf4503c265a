#include "cli/evaluate/report.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/output/table.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using Json = nlohmann::ordered_json;

Json RowJson(const ReportRow& row) {
  return {{"energy_budget_j", row.energy_budget_j},
          {"latency_budget_ms", row.latency_budget_ms},
          {"binds", row.binds},
          {"accuracy", row.accuracy},
          {"standard_error", row.standard_error},
          {"energy_j_mean", row.energy_j_mean},
          {"overhead_j_mean", row.overhead_j_mean},
          {"energy_method", row.energy_method},
          {"p50_ms", row.p50_ms},
          {"p99_ms", row.p99_ms},
          {"deadline_hit_share", row.deadline_hit_share},
          {"over_cap_share", row.over_cap_share},
          {"shares", row.shares},
          {"hull_accuracy", row.hull_accuracy},
          {"random_accuracy", row.random_accuracy},
          {"shuffled_accuracy", row.shuffled_accuracy},
          {"hindsight_accuracy", row.hindsight_accuracy}};
}

Json RowsJson(const std::vector<ReportRow>& rows) {
  Json json = Json::array();
  for (const ReportRow& row : rows) json.push_back(RowJson(row));
  return json;
}

std::string Percent(double share) { return absl::StrFormat("%.2f", 100 * share); }
std::string Millijoules(double joules) { return absl::StrFormat("%.3f", 1000 * joules); }
std::string Milliseconds(double ms) { return absl::StrFormat("%.2f", ms); }

// "mlp32 61, vit_small 30": those with at least 1 %, largest first.
std::string Shares(const ReportRow& row) {
  std::vector<std::pair<double, std::string>> shares;
  for (const auto& [name, share] : row.shares) shares.emplace_back(share, name);
  std::sort(shares.rbegin(), shares.rend());
  std::string text;
  for (const auto& [share, name] : shares) {
    if (share < 0.01) continue;
    absl::StrAppendFormat(&text, "%s%s %.0f", text.empty() ? "" : ", ", name, 100 * share);
  }
  return text;
}

std::string Limit(const ReportRow& row) {
  std::string text = row.latency_budget_ms > 0
                         ? absl::StrFormat("%.2f ms", row.latency_budget_ms)
                         : absl::StrFormat("%.3f mJ", 1000 * row.energy_budget_j);
  return row.binds ? text : text + " (slack)";
}

std::string RowsText(const std::string& title, const std::vector<ReportRow>& rows) {
  if (rows.empty()) return "";
  Table table({"limit", "accuracy %", "+- s.e.", "mJ/request", "routing mJ", "p50 ms", "p99 ms",
               "in time %", "hull %", "shuffled %", "random %", "hindsight %", "answered by %"});
  for (const ReportRow& row : rows) {
    table.AddRow({Limit(row), Percent(row.accuracy), Percent(row.standard_error),
                  Millijoules(row.energy_j_mean), Millijoules(row.overhead_j_mean),
                  Milliseconds(row.p50_ms), Milliseconds(row.p99_ms),
                  Percent(row.deadline_hit_share), Percent(row.hull_accuracy),
                  Percent(row.shuffled_accuracy), Percent(row.random_accuracy),
                  Percent(row.hindsight_accuracy), Shares(row)});
  }
  return absl::StrCat("\n", title, "\n", table.ToString());
}

Json BaselineJson(const ReportBaseline& baseline) {
  return {{"name", baseline.name},
          {"expert", baseline.expert},
          {"accuracy", baseline.accuracy},
          {"energy_j_mean", baseline.energy_j_mean},
          {"p50_ms", baseline.p50_ms}};
}

Json BaselinesJson(const std::vector<ReportBaseline>& baselines) {
  Json json = Json::array();
  for (const ReportBaseline& baseline : baselines) json.push_back(BaselineJson(baseline));
  return json;
}

}  // namespace

std::string ReportJson(const Report& report) {
  const Json json = {{"requests", report.requests},
                     {"budgets", RowsJson(report.budgets)},
                     {"caps", RowsJson(report.caps)},
                     {"latency", RowsJson(report.latency)},
                     {"baselines", BaselinesJson(report.baselines)},
                     {"experts", BaselinesJson(report.experts)}};
  return json.dump(2) + "\n";
}

std::string ReportText(const Report& report) {
  Table experts({"expert alone", "accuracy %", "mJ/request", "p50 ms"});
  for (const ReportBaseline& expert : report.experts) {
    experts.AddRow({expert.expert, Percent(expert.accuracy), Millijoules(expert.energy_j_mean),
                    Milliseconds(expert.p50_ms)});
  }
  std::string method = "unknown";
  for (const ReportRow& row : report.budgets) method = row.energy_method;
  return absl::StrCat(
      report.requests, " requests a row, one at a time; joules are ", method, ".\n\n",
      experts.ToString(),
      RowsText("Pool budget: mean joules a request, kept by the pacer", report.budgets),
      RowsText("Cap on each request's joules", report.caps),
      RowsText("Latency budget of each request", report.latency),
      "\nhull: best single experts and their random mixtures at the same joules, the routing's own "
      "counted on our side.\n"
      "shuffled: each request answered by the expert chosen for another one. random: an expert drawn "
      "at random.\n"
      "hindsight: the most that any router could reach at these joules.\n");
}

}  // namespace penstock::cli
