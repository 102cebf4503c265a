#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/output/svg_chart.h"
#include "cli/plan/plan_input.h"
#include "cli/plan/plan_report.h"
#include "common/status_macros.h"
#include "common/time/clock.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

constexpr char kDescription[] =
    "Chooses which experts a pool should use under limits of joules and latency, and says what "
    "the\n"
    "limits cost: which one binds, what the next joule or millisecond buys, and the whole "
    "frontier.\n"
    "Plans are exact up to the printed gap; nothing is asked of a running platform.\n\n"
    "From a recording (lines as `penstock train` reads them, an optional \"class\" beside "
    "\"id\"):\n"
    "  {\"id\": 7, \"class\": \"chat\", \"experts\": {\"small\": {\"quality\": 1, \"joules\": 9.1, "
    "\"seconds\": 0.4}, ...}}\n"
    "  penstock plan --outcomes table.jsonl.gz --energy_limit_j 180 --latency_limit_ms 900 --plot "
    "plan.svg\n"
    "From figures of your own (quality: for each kind of request; all kinds equally frequent):\n"
    "  experts:\n"
    "    small: {energy_j: 4, latency_s: 0.5, idle_watts: 90, quality: [0.9, 0.1, 0.2]}\n"
    "    large: {energy_j: 6, latency_s: 1.2, idle_watts: 300, quality: [0.8, 0.9, 0.9]}\n"
    "  penstock plan --profile profile.yaml --energy_limit_j 9 --semantics pool --k 1\n"
    "With --watts and --requests_per_s it also plans who should be awake at all, idle watts "
    "counted;\n"
    "with --cascade, in which order to ask and when an answer may stand.";

struct PlanCommandOptions {
  PlanCommandOptions() { input.limits.k = 1; }  // the value is then that of one answer

  PlanInputOptions input;
  PlanReportOptions report;
  double latency_limit_ms = 0;
  double time_limit_ms = 200;
  std::string semantics = "ensemble", value = "quality";
  std::string plot_file;
  bool json = false;
};

absl::Status RunPlan(PlanCommandOptions options) {
  router::SetLimits& limits = options.input.limits;
  limits.semantics =
      options.semantics == "pool" ? router::SetSemantics::kPool : router::SetSemantics::kEnsemble;
  if (options.latency_limit_ms > 0) limits.latency_s = options.latency_limit_ms / 1000;
  options.input.responsibility = options.value == "responsibility";
  options.report.search.time = absl::Milliseconds(options.time_limit_ms);
  PENSTOCK_ASSIGN_OR_RETURN(const PlanInput input, PreparePlan(options.input));
  const RealClock clock;
  PENSTOCK_ASSIGN_OR_RETURN(const PlanReport report, MakePlanReport(input, options.report, clock));
  if (!options.plot_file.empty()) {
    PENSTOCK_RETURN_IF_ERROR(WriteSvgChart(PlanChart(input, report), options.plot_file));
  }
  std::printf("%s", options.json ? (PlanJson(input, report).dump(2) + "\n").c_str()
                                 : PlanText(input, report).c_str());
  return absl::OkStatus();
}

}  // namespace

void RegisterPlan(CLI::App& app, Run& run) {
  auto options = std::make_shared<PlanCommandOptions>();
  CLI::App& command = *app.add_subcommand("plan", kDescription);
  command.add_option("--outcomes", options->input.outcomes_file,
                     "outcome table, JSON lines (.gz too)");
  command.add_option("--profile", options->input.profile_file,
                     "YAML: joules, seconds, idle watts of experts; limits of classes");
  command.add_option("--experts", options->input.experts, "experts to choose from; unset: all")
      ->delimiter(',');
  command
      .add_option("--energy_limit_j", options->input.limits.energy_j,
                  "joules of a request; of all members (ensemble) or the k dearest (pool)")
      ->check(CLI::NonNegativeNumber);
  command
      .add_option("--latency_limit_ms", options->latency_limit_ms,
                  "milliseconds of the slowest member, at --latency_quantile")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--latency_quantile", options->input.latency_quantile,
                  "of an expert's seconds in the table")
      ->capture_default_str();
  command
      .add_option("--semantics", options->semantics,
                  "ensemble: every member runs; pool: at most k of them do")
      ->check(CLI::IsMember({"ensemble", "pool"}))
      ->capture_default_str();
  command.add_option("--k", options->input.limits.k, "how many members' values count in a request")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--value", options->value,
                  "quality: the sum of the best k; responsibility: the share of requests whose\n"
                  "best expert is among them")
      ->check(CLI::IsMember({"quality", "responsibility"}))
      ->capture_default_str();
  command
      .add_option("--combine_j", options->input.limits.combine_j, "joules to combine each answer")
      ->capture_default_str();
  command.add_option("--combine_s", options->input.limits.combine_s, "seconds to combine, once")
      ->capture_default_str();
  command
      .add_option("--combine_each_s", options->input.limits.combine_each_s,
                  "seconds to combine, for each member")
      ->capture_default_str();
  command.add_option("--required", options->input.required, "experts that must be in")
      ->delimiter(',');
  command.add_option("--forbidden", options->input.forbidden, "experts that must not")
      ->delimiter(',');
  command
      .add_option("--watts", options->report.watts,
                  "limit of idle and active watts: plans who is awake")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--requests_per_s", options->report.requests_per_s, "beside --watts")
      ->check(CLI::NonNegativeNumber);
  command
      .add_option("--idle_watts", options->input.idle_watts,
                  "of each expert that is awake, where the profile does not say")
      ->capture_default_str();
  command.add_flag("--cascade", options->report.cascade,
                   "search a cascade within --energy_limit_j (mean joules a request)");
  command
      .add_option("--sample", options->input.sample, "requests of each class that are looked at")
      ->capture_default_str();
  command.add_option("--seed", options->input.seed, "seed of the sample")->capture_default_str();
  command
      .add_option("--most_malformed", options->input.most_malformed,
                  "malformed lines that are left out before the run stops")
      ->capture_default_str();
  command.add_option("--time_limit_ms", options->time_limit_ms, "of each search")
      ->capture_default_str();
  command
      .add_option("--node_limit", options->report.search.nodes,
                  "of each search; unlike time it stops at the same place on every machine")
      ->capture_default_str();
  command
      .add_option("--frontier", options->report.frontier_points, "points of the frontier; 0: none")
      ->capture_default_str();
  command.add_option("--plot", options->plot_file, "write the frontier as SVG");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunPlan(*options); }; });
}

}  // namespace penstock::cli
