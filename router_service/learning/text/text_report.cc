#include "router_service/learning/text/text_report.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace penstock::router {
namespace {

std::string Percent(double share) {
  return std::isfinite(share) ? absl::StrFormat("%.1f %%", 100 * share) : "never";
}

// JSON has no infinity.
nlohmann::ordered_json Finite(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

const ContenderReport& TextTrainReport::chosen() const {
  for (const ContenderReport& contender : contenders) {
    if (contender.chosen) return contender;
  }
  return contenders.front();
}

std::string FormatContenders(const TextTrainReport& report) {
  std::string text;
  absl::StrAppendFormat(&text, "  %-18s %9s %9s %9s %16s %12s %8s %8s %8s\n", "model", "numbers",
                        "avg qual.", "+-", "over mixing", "cost at 95%", "log loss", "brier",
                        "seconds");
  for (const ContenderReport& contender : report.contenders) {
    absl::StrAppendFormat(
        &text, "%s %-18s %9.3g %9.2f %9.2f %+8.2f +- %4.2f %12s %8.4f %8.4f %8.1f\n",
        contender.chosen ? "*" : " ", contender.name, contender.complexity,
        100 * contender.figures.aiq,
        100 * contender.aiq_error, 100 * contender.gain, 100 * contender.gain_error,
        Percent(contender.figures.cost_at_95), contender.log_loss, contender.brier,
        contender.seconds);
  }
  absl::StrAppend(&text, "  * ", report.why, "\n");
  return text;
}

std::string FormatTextTrainReport(const TextTrainReport& report) {
  const bool priced = !report.cost_unit.empty();
  std::string text = absl::StrFormat(
      "%d prompts of %d different questions, %d words and pairs; %d malformed rows left out\n",
      report.rows, report.groups, report.columns, report.bad_rows);
  for (const std::string& bad : report.bad) absl::StrAppend(&text, "  ", bad, "\n");
  if (report.bad_rows > report.bad.size()) {
    absl::StrAppendFormat(&text, "  and %d more\n", report.bad_rows - report.bad.size());
  }
  absl::StrAppendFormat(&text,
                        "\nEvery figure below is of prompts that the model was not fitted on "
                        "(%d folds).\n\n%-32s %7s %8s %12s %9s %7s %7s %8s\n",
                        report.folds, "expert", "rows", "quality",
                        priced ? report.cost_unit : "cost", "tokens", "brier", "ece", "length R2");
  for (const TextExpertReport& expert : report.experts) {
    absl::StrAppendFormat(&text, "%-32s %7d %8.4f %12.4g %9.1f %7.4f %7.4f %9.3f\n", expert.name,
                          expert.rows, expert.quality, expert.mean_cost, expert.mean_tokens,
                          expert.fit.brier, expert.fit.ece, expert.length_explained);
  }
  absl::StrAppend(&text,
                  "  (quality: share right; ", priced ? report.cost_unit : "cost",
                  ", tokens: mean of an answer. Of the predicted P(right), 0 being best: brier: mean\n"
                  "  squared error; ece: how far off it is on the mean, in 15 groups of equal size. length "
                  "R2: share\n"
                  "  of the answers' length that the prompt tells)\n");
  absl::StrAppend(&text, "\n", FormatContenders(report));
  if (priced) {
    const RoutingFigures& figures = report.chosen().figures;
    absl::StrAppendFormat(
        &text,
        "  (* is written. numbers: that the model keeps; avg qual.: mean quality over all\n"
        "  mean costs between the cheapest and the dearest expert, AIQ, in points; mixing single\n"
        "  experts at random gives %.2f. cost at 95%%: for 95%% of the best expert's\n"
        "  quality, as a share of its cost; mixing takes %s)\n",
        100 * figures.singles_aiq, Percent(figures.singles_cost_at_95));
    absl::StrAppendFormat(&text, "\n%14s %10s %10s %10s\n", "share of cost", "routed", "mixed",
                          "oracle");
    for (const RoutingPoint& point : report.points) {
      absl::StrAppendFormat(&text, "%13.0f%% %10.4f %10.4f %10.4f\n", 100 * point.cost_share,
                            point.quality, point.singles_quality, point.oracle_quality);
    }
    absl::StrAppend(&text, "  (of the best single expert's mean ", report.cost_unit, ")\n");
  }
  for (const auto& [what, value] : report.chosen().notes) {
    absl::StrAppend(&text, "  ", what, ": ", value, "\n");
  }
  if (report.flip_rate.texts > 0) {
    absl::StrAppendFormat(&text,
                          "\nThe same prompt in other case, spaces or Unicode forms changes the best "
                          "expert in %.2f %% of %d tries:",
                          100 * report.flip_rate.rate(), report.flip_rate.tries());
    for (size_t kind = 0; kind < kBenignEdits; ++kind) {
      absl::StrAppendFormat(&text, "%s %s %d", kind == 0 ? "" : ",",
                            BenignEditName(static_cast<BenignEdit>(kind)),
                            report.flip_rate.flips[kind]);
    }
    absl::StrAppendFormat(&text, " (of %d each)\n", report.flip_rate.texts);
  }
  for (const std::string& warning : report.warnings) {
    absl::StrAppend(&text, "\nwarning: ", warning);
  }
  if (!report.warnings.empty()) absl::StrAppend(&text, "\n");
  for (const std::string& file : report.files) absl::StrAppend(&text, "\nwrote ", file, "\n");
  return text;
}

std::string TextTrainReportJson(const TextTrainReport& report) {
  nlohmann::ordered_json json = {{"rows", report.rows},
                                 {"groups", report.groups},
                                 {"bad_rows", report.bad_rows},
                                 {"bad", report.bad},
                                 {"columns", report.columns},
                                 {"folds", report.folds},
                                 {"cost_unit", report.cost_unit},
                                 {"files", report.files},
                                 {"warnings", report.warnings},
                                 {"chosen", report.chosen().name},
                                 {"why", report.why}};
  for (const TextExpertReport& expert : report.experts) {
    json["experts"].push_back({{"name", expert.name},
                               {"rows", expert.rows},
                               {"quality", expert.quality},
                               {"mean_cost", expert.mean_cost},
                               {"mean_tokens", expert.mean_tokens},
                               {"brier", expert.fit.brier},
                               {"ece", expert.fit.ece},
                               {"log_loss", expert.fit.log_loss},
                               {"length_explained", expert.length_explained}});
  }
  for (const ContenderReport& contender : report.contenders) {
    nlohmann::ordered_json item = {
        {"name", contender.name},
        {"complexity", contender.complexity},
        {"aiq", contender.figures.aiq},
        {"aiq_error", contender.aiq_error},
        {"singles_aiq", contender.figures.singles_aiq},
        {"gain", contender.gain},
        {"gain_error", contender.gain_error},
        {"cost_at_95", Finite(contender.figures.cost_at_95)},
        {"singles_cost_at_95", Finite(contender.figures.singles_cost_at_95)},
        {"log_loss", contender.log_loss},
        {"brier", contender.brier},
        {"seconds", contender.seconds}};
    for (const auto& [what, value] : contender.notes) item["notes"][what] = value;
    json["contenders"].push_back(std::move(item));
  }
  if (report.flip_rate.texts > 0) {
    json["flip_rate"] = {{"texts", report.flip_rate.texts}, {"rate", report.flip_rate.rate()}};
    for (size_t kind = 0; kind < kBenignEdits; ++kind) {
      const std::string name(BenignEditName(static_cast<BenignEdit>(kind)));
      json["flip_rate"]["flips"][name] = report.flip_rate.flips[kind];
    }
  }
  for (const RoutingPoint& point : report.points) {
    json["points"].push_back({{"cost_share", point.cost_share},
                              {"quality", point.quality},
                              {"singles_quality", point.singles_quality},
                              {"oracle_quality", point.oracle_quality}});
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace penstock::router
