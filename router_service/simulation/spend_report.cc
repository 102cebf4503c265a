#include "router_service/simulation/spend_report.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace penstock::router {
namespace {

constexpr double kWindow = 600;
constexpr double kLeastWindow = 300;
constexpr double kSettled = 300;  // a cold start may take this long

struct Window {
  double joules = 0;
  double requests = 0;
};

void AddWindows(const SimulationResult& result, const SpendTarget& target, SpendReport& report) {
  std::vector<Window> windows;
  for (const SimulatedRequest& request : result.requests) {
    if (request.expert < 0) continue;
    const double at = target.watts > 0 ? request.finished_s : request.arrived_s;
    const auto number = static_cast<size_t>(at / kWindow);
    if (windows.size() <= number) windows.resize(number + 1);
    windows[number].joules += request.joules;
    ++windows[number].requests;
  }
  size_t counted = 0;
  for (size_t i = 0; i < windows.size(); ++i) {
    const double length = std::min(kWindow, report.seconds - static_cast<double>(i) * kWindow);
    if (length < kLeastWindow) continue;
    const double budget = target.watts > 0 ? target.watts * length
                                           : target.joules_per_request * windows[i].requests;
    if (!(budget > 0)) continue;
    const double error = std::abs(windows[i].joules / budget - 1);
    report.window_error_mean += error;
    report.window_error_worst = std::max(report.window_error_worst, error);
    ++counted;
  }
  if (counted > 0) report.window_error_mean /= static_cast<double>(counted);
}

void AddDeviation(const SimulationResult& result, const SpendTarget& target, SpendReport& report) {
  std::vector<std::pair<double, double>> spending;  // when, joules
  for (const SimulatedRequest& request : result.requests) {
    if (request.expert < 0) continue;
    spending.push_back({target.watts > 0 ? request.finished_s : request.arrived_s, request.joules});
  }
  if (target.watts > 0) std::sort(spending.begin(), spending.end());
  const double unit = target.watts > 0 ? target.watts : target.joules_per_request;
  double spent = 0;
  double requests = 0;
  for (const auto& [at, joules] : spending) {
    spent += joules;
    ++requests;
    if (at < kSettled || at > report.seconds) continue;
    const double over = spent / unit - (target.watts > 0 ? at : requests);
    report.deviation_worst = std::max(report.deviation_worst, std::abs(over));
    report.overspent_worst = std::max(report.overspent_worst, over);
  }
}

void AddWatts(const SimulationResult& result, SpendReport& report) {
  const double bin = report.bin_seconds;
  for (const SimulatedRequest& request : result.requests) {
    if (request.expert < 0) continue;
    const double length = request.finished_s - request.started_s;
    const auto first = static_cast<size_t>(request.started_s / bin);
    const auto last = static_cast<size_t>(request.finished_s / bin);
    if (report.watts_by_bin.size() <= last) report.watts_by_bin.resize(last + 1, 0);
    for (size_t i = first; i <= last; ++i) {
      const double from = std::max(request.started_s, static_cast<double>(i) * bin);
      const double to = std::min(request.finished_s, static_cast<double>(i + 1) * bin);
      const double share = length > 0 ? (to - from) / length : 1;
      report.watts_by_bin[i] += request.joules * share / bin;
    }
  }
}

}  // namespace

SpendReport MakeSpendReport(const SimulationResult& result, const OutcomeMatrix& outcomes,
                            const SpendTarget& target) {
  SpendReport report;
  report.requests = result.requests.size();
  report.shares.assign(outcomes.experts.size(), 0);
  for (const SimulatedRequest& request : result.requests) {
    report.seconds = std::max(report.seconds, request.arrived_s);
    if (request.expert < 0) {
      ++report.refused;
      continue;
    }
    const OutcomeMatrix::Cell& cell = outcomes.Row(request.row)[request.expert];
    report.quality += cell.quality;
    report.predicted_quality += cell.predicted_quality;
    report.joules += request.joules;
    report.degraded += request.degraded ? 1 : 0;
    ++report.shares[request.expert];
  }
  const double all = std::max<double>(1, static_cast<double>(report.requests));
  const double ran = std::max<double>(1, static_cast<double>(report.requests - report.refused));
  report.quality /= all;
  report.predicted_quality /= all;
  for (double& share : report.shares) share /= ran;
  report.joules_mean = report.joules / ran;
  if (report.seconds > 0) report.watts = report.joules / report.seconds;
  const double budget =
      target.watts > 0 ? target.watts * report.seconds : target.joules_per_request * ran;
  if (budget > 0) report.spend_error = report.joules / budget - 1;
  if (budget > 0) {
    AddWindows(result, target, report);
    AddDeviation(result, target, report);
  }
  AddWatts(result, report);
  return report;
}

std::vector<uint32_t> RowsOf(const SimulationResult& result) {
  std::vector<uint32_t> rows;
  rows.reserve(result.requests.size());
  for (const SimulatedRequest& request : result.requests) rows.push_back(request.row);
  return rows;
}

}  // namespace penstock::router
