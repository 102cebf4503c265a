#include "cli/replay/replay_report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/output/svg_chart.h"
#include "cli/output/table.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

constexpr size_t kPlotted = 2000;

std::string Digits(double value) { return absl::StrFormat("%.4g", value); }
std::string Percent(double value) { return absl::StrFormat("%.2f %%", 100 * value); }
bool HasTarget(const ReplayReport& report) {
  return report.target.watts > 0 || report.target.joules_per_request > 0;
}

std::string Shares(const ReplayReport& report) {
  Table table({"expert", "share", "quality alone", "joules alone"});
  for (size_t e = 0; e < report.outcomes.experts.size(); ++e) {
    table.AddRow({report.outcomes.experts[e], Percent(report.spend.shares[e]),
                  Percent(report.outcomes.MeanQuality(e)), Digits(report.outcomes.MeanJoules(e))});
  }
  return table.ToString();
}

}  // namespace

std::string FormatReplayReport(const ReplayReport& report) {
  const router::SpendReport& spend = report.spend;
  Table table({"", "replay"});
  table.AddRow({"requests", absl::StrCat(spend.requests)});
  table.AddRow({"refused by a hard budget", absl::StrCat(spend.refused)});
  table.AddRow({"degraded by a budget", absl::StrCat(spend.degraded)});
  table.AddRow({"seconds of arrivals", Digits(spend.seconds)});
  table.AddRow({"quality", Percent(spend.quality)});
  table.AddRow({"joules in all", Digits(spend.joules)});
  table.AddRow({"joules per request", Digits(spend.joules_mean)});
  table.AddRow({"watts", Digits(spend.watts)});
  if (HasTarget(report)) {
    const bool watts = report.target.watts > 0;
    table.AddRow({watts ? "budget, watts" : "budget, joules per request",
                  Digits(watts ? report.target.watts : report.target.joules_per_request)});
    // Signed: a budget that was not used up is below 0.
    table.AddRow({watts ? "joules over (+) or under (-) watts x seconds of arrivals"
                        : "joules over (+) or under (-) budget x requests that ran",
                  absl::StrFormat("%+.2f %%", 100 * spend.spend_error)});
    table.AddRow({"error of 10-minute windows, mean", Percent(spend.window_error_mean)});
    table.AddRow({"error of 10-minute windows, worst", Percent(spend.window_error_worst)});
    table.AddRow({watts ? "furthest from budget after 300 s, in seconds of it"
                        : "furthest from budget after 300 s, in requests of it",
                  Digits(spend.deviation_worst)});
  }
  if (report.hindsight.has_value()) {
    table.AddRow({"quality of the best fixed price in hindsight", Percent(report.hindsight->quality)});
    table.AddRow({"share of it reached", Percent(spend.quality / report.hindsight->quality)});
    table.AddRow({"quality if true joules were known before", Percent(report.bound->quality)});
    table.AddRow({"quality of mixed single experts", Percent(report.mixed_singles)});
  }
  std::string text = absl::StrCat(table.ToString(), "\n", Shares(report), "\n");
  if (report.estimates_from_file) {
    absl::StrAppend(&text, "Estimates: from the file given.\n");
  } else if (report.completion.predictions_from_means > 0) {
    absl::StrAppend(&text, "Estimates: ", report.completion.predictions_from_means,
                    " answers had no predictions; each expert's mean over the table stands for them, "
                    "which knows nothing of the request.\n");
  } else {
    absl::StrAppend(&text, "Estimates: the table's.\n");
  }
  if (report.completion.joules_from_profile > 0) {
    absl::StrAppend(&text, "Joules of ", report.completion.joules_from_profile,
                    " answers and seconds of ", report.completion.seconds_from_profile,
                    " are the profiles'.\n");
  }
  absl::StrAppendFormat(&text, "Digest %016x, %.0f requests a second of wall time.\n",
                        report.result.digest,
                        static_cast<double>(spend.requests) / std::max(report.wall_seconds, 1e-9));
  return text;
}

std::string ReplayReportJson(const ReplayReport& report) {
  const router::SpendReport& spend = report.spend;
  nlohmann::ordered_json json = {
      {"requests", spend.requests},
      {"refused", spend.refused},
      {"degraded", spend.degraded},
      {"seconds", spend.seconds},
      {"quality", spend.quality},
      {"predicted_quality", spend.predicted_quality},
      {"energy_j", spend.joules},
      {"energy_j_mean", spend.joules_mean},
      {"power_w", spend.watts},
      {"digest", absl::StrFormat("%016x", report.result.digest)},
      {"events", report.result.events},
      {"wall_seconds", report.wall_seconds},
      {"requests_per_second", static_cast<double>(spend.requests) / std::max(report.wall_seconds, 1e-9)},
      {"estimates_from_means", report.completion.predictions_from_means},
      {"bin_seconds", spend.bin_seconds},
      {"power_w_by_bin", spend.watts_by_bin}};
  for (size_t e = 0; e < report.outcomes.experts.size(); ++e) {
    json["shares"][report.outcomes.experts[e]] = spend.shares[e];
  }
  if (HasTarget(report)) {
    json["budget"] = {{"energy_j_per_request", report.target.joules_per_request},
                      {"power_w", report.target.watts},
                      {"spend_error", spend.spend_error},
                      {"window_error_mean", spend.window_error_mean},
                      {"window_error_worst", spend.window_error_worst},
                      {"deviation_worst", spend.deviation_worst}};
  }
  if (report.hindsight.has_value()) {
    json["hindsight"] = {{"price_per_joule", report.hindsight->price},
                         {"quality", report.hindsight->quality},
                         {"share", spend.quality / report.hindsight->quality},
                         {"regret", report.hindsight->quality - spend.quality},
                         {"quality_true_joules", report.bound->quality},
                         {"mixed_singles_quality", report.mixed_singles}};
  }
  return json.dump(2) + "\n";
}

absl::Status WriteReplayPlots(const ReplayReport& report, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", folder));
  const std::filesystem::path path(folder);

  Chart watts{.title = "Watts over time", .x = {.label = "seconds"}, .y = {.label = "watts"}};
  ChartSeries drawn{.name = "active", .kind = ChartSeries::Kind::kSteps};
  for (size_t i = 0; i < report.spend.watts_by_bin.size(); ++i) {
    drawn.points.push_back(
        {static_cast<double>(i) * report.spend.bin_seconds, report.spend.watts_by_bin[i]});
  }
  watts.series.push_back(std::move(drawn));
  if (report.target.watts > 0) watts.levels.push_back({report.target.watts, "budget"});
  PENSTOCK_RETURN_IF_ERROR(WriteSvgChart(watts, path / "watts.svg"));

  Chart price{.title = "Price of a joule over time",
              .x = {.label = "seconds"},
              .y = {.label = "quality units per joule"}};
  ChartSeries level{.name = "price", .kind = ChartSeries::Kind::kLine};
  const auto& requests = report.result.requests;
  const size_t step = std::max<size_t>(1, requests.size() / kPlotted);
  for (size_t i = 0; i < requests.size(); i += step) {
    level.points.push_back({requests[i].arrived_s, requests[i].price_per_joule});
  }
  price.series.push_back(std::move(level));
  if (report.hindsight.has_value()) {
    price.levels.push_back({report.hindsight->price, "best in hindsight"});
  }
  PENSTOCK_RETURN_IF_ERROR(WriteSvgChart(price, path / "price.svg"));

  Chart plane{.title = "Quality and joules",
              .x = {.label = "joules per request"},
              .y = {.label = "quality"}};
  ChartSeries singles{.name = "single experts", .kind = ChartSeries::Kind::kPoints};
  for (size_t e = 0; e < report.outcomes.experts.size(); ++e) {
    singles.points.push_back({report.outcomes.MeanJoules(e), report.outcomes.MeanQuality(e)});
  }
  plane.series.push_back(std::move(singles));
  plane.series.push_back({.name = "replay",
                          .kind = ChartSeries::Kind::kPoints,
                          .points = {{report.spend.joules_mean, report.spend.quality}}});
  if (report.hindsight.has_value()) {
    plane.series.push_back({.name = "hindsight",
                            .kind = ChartSeries::Kind::kPoints,
                            .points = {{report.hindsight->joules, report.hindsight->quality}}});
  }
  return WriteSvgChart(plane, path / "quality.svg");
}

}  // namespace penstock::cli
