#include "cli/plan/plan_report.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string Names(const std::vector<size_t>& experts, const std::vector<std::string>& names) {
  if (experts.empty()) return "(none)";
  return absl::StrJoin(experts, ", ",
                       [&names](std::string* out, size_t e) { out->append(names[e]); });
}
Json NameList(const std::vector<size_t>& experts, const std::vector<std::string>& names) {
  Json list = Json::array();
  for (const size_t expert : experts) list.push_back(names[expert]);
  return list;
}

std::string Figure(double value) {
  return value < 1e4 ? absl::StrFormat("%.4g", value) : absl::StrFormat("%.0f", value);
}
// The first few, where a line has no room for all.
std::string FewNames(const std::vector<size_t>& experts, const std::vector<std::string>& names) {
  constexpr size_t kFew = 4;
  if (experts.size() <= kFew) return Names(experts, names);
  return absl::StrCat(Names({experts.begin(), experts.begin() + kFew}, names), " and ",
                      experts.size() - kFew, " more");
}
std::string Limit(double value, const char* unit) {
  return value == router::SetLimits::kNone ? "no limit"
                                           : absl::StrCat("limit ", Figure(value), " ", unit);
}

// Where a limit comes from: the profile's class goes before the command line, which is said.
std::string LimitSource(const char* option, double told, double limit, bool from_profile,
                        double scale, const char* unit) {
  if (limit == router::SetLimits::kNone) return absl::StrCat("no ", option);
  const std::string amount = absl::StrCat(Figure(limit * scale), " ", unit);
  if (!from_profile) return absl::StrCat(amount, " (", option, ")");
  if (told == router::SetLimits::kNone) return absl::StrCat(amount, " (the profile)");
  return absl::StrCat(amount, " (the profile, instead of ", option, " ", Figure(told * scale), ")");
}

std::string LimitSources(const PlanInput& input, const ClassInput& in) {
  const router::SetLimits& limits = in.request.limits;
  return absl::StrCat(LimitSource("--energy_limit_j", input.told.energy_j, limits.energy_j,
                                  in.energy_from_profile, 1, "J"),
                      ", ",
                      LimitSource("--latency_limit_ms", input.told.latency_s, limits.latency_s,
                                  in.latency_from_profile, 1000, "ms"));
}

Json LimitJson(double limit, bool from_profile) {
  if (limit == router::SetLimits::kNone) return nullptr;
  return {{"limit", limit}, {"from", from_profile ? "profile" : "command line"}};
}

router::ResidentRequest ResidentsOf(const PlanInput& input, const PlanReportOptions& options) {
  router::ResidentRequest request;
  request.experts = input.experts.size();
  for (const ClassInput& of : input.classes) request.rows += of.sampled;
  for (size_t i = 0; i < request.experts; ++i) {
    for (const ClassInput& of : input.classes) {
      const auto first = static_cast<std::ptrdiff_t>(i * of.sampled);
      const auto last = first + static_cast<std::ptrdiff_t>(of.sampled);
      request.values.insert(request.values.end(), of.quality.begin() + first,
                            of.quality.begin() + last);
      request.joules.insert(request.joules.end(), of.joules.begin() + first,
                            of.joules.begin() + last);
    }
  }
  request.idle_watts = input.idle_watts;
  request.latency_s = input.latency_s;
  for (const ClassInput& of : input.classes) {
    request.latency_limit_s = std::min(request.latency_limit_s, of.request.limits.latency_s);
    for (const size_t expert : of.request.required) request.required.push_back(expert);
  }
  request.watts = options.watts;
  request.requests_per_s = options.requests_per_s;
  return request;
}

absl::StatusOr<router::ChainPlan> CascadeOf(const PlanInput& input) {
  if (!input.chain.has_value()) {
    return absl::FailedPreconditionError(
        "--cascade needs an outcome table with quality, joules and confidence of every expert");
  }
  const router::SetLimits& limits = input.classes[0].request.limits;
  if (limits.energy_j == router::SetLimits::kNone) {
    return absl::InvalidArgumentError(
        "--cascade needs --energy_limit_j: its mean joules a request");
  }
  // Thresholds are tuned on one half of the rows and the chain is picked on the other.
  std::vector<size_t> halves[2];
  for (size_t x = 0; x < input.chain->rows; ++x) halves[x % 2].push_back(x);
  router::ChainSearchOptions options;
  options.budget = limits.energy_j;
  options.latency_limit_s = limits.latency_s;
  return router::SearchChain(*input.chain, halves[0], halves[1], options);
}

std::string StepText(const std::optional<router::NextStep>& step, const char* unit, double scale,
                     const std::vector<std::string>& names) {
  if (!step.has_value()) return "buys nothing";
  return absl::StrFormat("%s more %s (a limit of %s) buy %+.4f: %s", Figure(step->more * scale),
                         unit, Figure(step->limit * scale), step->gain,
                         FewNames(step->experts, names));
}

std::string ClassText(const PlanInput& input, const ClassInput& in, const ClassReport& of) {
  const router::SetLimits& limits = in.request.limits;
  const router::ClassPlan& plan = of.plan;
  std::string text =
      absl::StrFormat("Class %s: %d of %d requests, %d experts, %s, the best %d of the set count\n",
                      of.name, in.sampled, in.rows, input.experts.size(),
                      std::string(router::SetSemanticsName(limits.semantics)), limits.k);
  absl::StrAppend(&text, "  limits    ", LimitSources(input, in), "\n");
  absl::StrAppend(&text, "  experts   ", Names(plan.experts, input.experts), "\n");
  absl::StrAppendFormat(
      &text, "  value     %.4f; no set is worth more than %.4f (gap %.2f %%, %s, %d nodes)\n",
      plan.value, plan.bound, 100 * plan.relative_gap(),
      std::string(router::SearchEndName(plan.end)), plan.nodes);
  if (input.joules_known) {
    absl::StrAppend(&text, "  joules    ", Figure(plan.energy_j), " a request, ",
                    Limit(limits.energy_j, "J"), "\n");
  }
  if (input.latency_known) {
    absl::StrAppend(&text, "  latency   ", Figure(plan.latency_s), " s, ",
                    Limit(limits.latency_s, "s"), "\n");
  }
  absl::StrAppend(&text, "  binds     ", std::string(router::BindingLimitName(of.advice.binding)),
                  "\n");
  if (limits.energy_j != router::SetLimits::kNone) {
    absl::StrAppend(&text, "  energy    ", StepText(of.advice.next_joule, "J", 1, input.experts),
                    "\n");
  }
  if (limits.latency_s != router::SetLimits::kNone) {
    absl::StrAppend(&text, "  time      ",
                    StepText(of.advice.next_second, "ms", 1000, input.experts), "\n");
  }
  if (of.frontier.empty()) return text;
  absl::StrAppend(&text, "  What joules buy (the best set at each limit; --json names all):\n",
                  "      joules    value   gap %  experts\n");
  for (const router::FrontierPoint& point : of.frontier) {
    absl::StrAppendFormat(&text, "  %10s  %7.4f  %6.2f  %s\n", Figure(point.plan.energy_j),
                          point.plan.value, 100 * point.plan.relative_gap(),
                          FewNames(point.plan.experts, input.experts));
  }
  return text;
}

Json StepJson(const std::optional<router::NextStep>& step, const std::vector<std::string>& names) {
  if (!step.has_value()) return nullptr;
  return {{"limit", step->limit},
          {"more", step->more},
          {"gain", step->gain},
          {"experts", NameList(step->experts, names)}};
}

Json PlanOf(const router::ClassPlan& plan, const std::vector<std::string>& names) {
  return {{"experts", NameList(plan.experts, names)},
          {"value", plan.value},
          {"bound", plan.bound},
          {"gap", plan.gap()},
          {"energy_j", plan.energy_j},
          {"latency_s", plan.latency_s},
          {"nodes", plan.nodes},
          {"end", std::string(router::SearchEndName(plan.end))}};
}

double MeanValue(const ClassInput& in, size_t expert) {
  const auto first = in.values.begin() + static_cast<std::ptrdiff_t>(expert * in.sampled);
  return std::accumulate(first, first + static_cast<std::ptrdiff_t>(in.sampled), 0.0) /
         static_cast<double>(std::max<size_t>(1, in.sampled));
}

}  // namespace

absl::StatusOr<PlanReport> MakePlanReport(const PlanInput& input, const PlanReportOptions& options,
                                          const Clock& clock) {
  PlanReport report;
  for (const ClassInput& in : input.classes) {
    const router::Coverage values(input.experts.size(), in.sampled, in.values);
    ClassReport& of = report.classes.emplace_back();
    of.name = in.name;
    PENSTOCK_ASSIGN_OR_RETURN(of.plan,
                              router::PlanClass(values, in.request, options.search, clock));
    PENSTOCK_ASSIGN_OR_RETURN(
        of.advice, router::AdvisePlan(values, in.request, of.plan, options.search, clock));
    if (input.joules_known && options.frontier_points > 0) {
      PENSTOCK_ASSIGN_OR_RETURN(of.frontier,
                                router::EnergyFrontier(values, in.request, options.frontier_points,
                                                       options.search, clock));
    }
  }
  if (options.watts > 0 || options.requests_per_s > 0) {
    if (!input.joules_known) {
      return absl::FailedPreconditionError("--watts needs joules of every expert");
    }
    PENSTOCK_ASSIGN_OR_RETURN(report.residents, router::PlanResidents(ResidentsOf(input, options),
                                                                      options.search, clock));
  }
  if (options.cascade) {
    PENSTOCK_ASSIGN_OR_RETURN(report.cascade, CascadeOf(input));
  }
  return report;
}

std::string PlanText(const PlanInput& input, const PlanReport& report) {
  std::string text;
  if (input.skipped > 0) {
    absl::StrAppend(&text, input.skipped, " malformed lines were left out, the first of them:\n");
    for (const std::string& problem : input.problems) absl::StrAppend(&text, "  ", problem, "\n");
  }
  for (size_t c = 0; c < report.classes.size(); ++c) {
    if (c > 0) text += "\n";
    text += ClassText(input, input.classes[c], report.classes[c]);
  }
  if (report.residents.has_value()) {
    const router::ResidentPlan& plan = *report.residents;
    absl::StrAppend(&text, "\nAwake: ", Names(plan.experts, input.experts), "\n");
    absl::StrAppendFormat(
        &text, "  value     %.4f a request at %.4g quality units a joule (gap %.2f %%, %s)\n",
        plan.value, plan.price_per_joule, plan.value > 0 ? 100 * plan.gap() / plan.value : 0.0,
        std::string(router::SearchEndName(plan.end)));
    absl::StrAppendFormat(&text, "  watts     %s idle, %s active\n", Figure(plan.idle_watts),
                          Figure(plan.active_watts));
    absl::StrAppend(&text, "  ", router::DescribeChoice(plan), "\n");
  }
  if (report.cascade.has_value()) {
    text += "\nCascade:";
    for (const router::ChainStage& stage : report.cascade->stages) {
      absl::StrAppend(&text, " ", input.experts[stage.expert]);
      if (std::isfinite(stage.threshold)) {
        absl::StrAppendFormat(&text, " (stands from confidence %.4f), then", stage.threshold);
      } else if (stage.threshold > 0) {
        absl::StrAppend(&text, " (never stands), then");
      }
    }
    absl::StrAppendFormat(&text, "\n  value     %.4f at %s J a request on rows held out\n",
                          report.cascade->heldout.quality, Figure(report.cascade->heldout.cost));
  }
  return text;
}

nlohmann::ordered_json PlanJson(const PlanInput& input, const PlanReport& report) {
  Json json = {{"rows", input.rows},
               {"malformed", input.skipped},
               {"problems", input.problems},
               {"experts", input.experts}};
  for (size_t c = 0; c < report.classes.size(); ++c) {
    const ClassReport& of = report.classes[c];
    Json one = {{"class", of.name},
                {"requests", input.classes[c].rows},
                {"sampled", input.classes[c].sampled},
                {"energy_limit_j", LimitJson(input.classes[c].request.limits.energy_j,
                                             input.classes[c].energy_from_profile)},
                {"latency_limit_s", LimitJson(input.classes[c].request.limits.latency_s,
                                              input.classes[c].latency_from_profile)},
                {"plan", PlanOf(of.plan, input.experts)},
                {"binds", std::string(router::BindingLimitName(of.advice.binding))},
                {"without_energy_limit", of.advice.without_energy_limit},
                {"without_latency_limit", of.advice.without_latency_limit},
                {"next_joule", StepJson(of.advice.next_joule, input.experts)},
                {"next_second", StepJson(of.advice.next_second, input.experts)},
                {"frontier", Json::array()}};
    for (const router::FrontierPoint& point : of.frontier) {
      Json entry = PlanOf(point.plan, input.experts);
      entry["limit_j"] = point.limit;
      one["frontier"].push_back(std::move(entry));
    }
    json["classes"].push_back(std::move(one));
  }
  if (report.residents.has_value()) {
    const router::ResidentPlan& plan = *report.residents;
    json["awake"] = {{"experts", NameList(plan.experts, input.experts)},
                     {"value", plan.value},
                     {"bound", plan.bound},
                     {"all_fit", plan.all_fit},
                     {"all_value", plan.all_value},
                     {"choosing_pays", plan.choosing_pays()},
                     {"price_per_joule", plan.price_per_joule},
                     {"idle_watts", plan.idle_watts},
                     {"active_watts", plan.active_watts},
                     {"end", std::string(router::SearchEndName(plan.end))}};
  }
  if (report.cascade.has_value()) {
    Json stages = Json::array();
    for (const router::ChainStage& stage : report.cascade->stages) {
      Json entry = {{"expert", input.experts[stage.expert]}, {"threshold", nullptr}};
      if (std::isfinite(stage.threshold)) entry["threshold"] = stage.threshold;
      stages.push_back(std::move(entry));
    }
    json["cascade"] = {{"stages", std::move(stages)},
                       {"quality", report.cascade->heldout.quality},
                       {"joules", report.cascade->heldout.cost}};
  }
  return json;
}

Chart PlanChart(const PlanInput& input, const PlanReport& report) {
  Chart chart;
  chart.title = "What joules buy";
  chart.x = {.label = "joules a request", .logarithmic = true, .lowest = {}, .highest = {}};
  chart.y.label = "value of the best set";
  for (size_t c = 0; c < report.classes.size(); ++c) {
    const ClassReport& of = report.classes[c];
    ChartSeries frontier;
    frontier.name = absl::StrCat(of.name, ": frontier");
    frontier.kind = ChartSeries::Kind::kSteps;
    for (const router::FrontierPoint& point : of.frontier) {
      frontier.points.emplace_back(point.plan.energy_j, point.plan.value);
    }
    chart.series.push_back(std::move(frontier));
    ChartSeries plan;
    plan.name = absl::StrCat(of.name, ": plan");
    plan.kind = ChartSeries::Kind::kPoints;
    plan.points = {{of.plan.energy_j, of.plan.value}};
    chart.series.push_back(std::move(plan));
  }
  ChartSeries singles;
  singles.name = "single experts";
  singles.kind = ChartSeries::Kind::kPoints;
  const ClassInput& first = input.classes[0];
  for (size_t i = 0; i < input.experts.size(); ++i) {
    singles.points.emplace_back(first.request.costs[i].energy_j, MeanValue(first, i));
    singles.labels.push_back(input.experts[i]);
  }
  chart.series.push_back(std::move(singles));
  return chart;
}

}  // namespace penstock::cli
