#include <CLI/CLI.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/input/file_form.h"
#include "cli/replay/decision_report.h"
#include "cli/replay/replay_report.h"
#include "cli/replay/token_report.h"
#include "common/status_macros.h"
#include "router_service/simulation/arrival_trace.h"
#include "router_service/simulation/expert_profile.h"
#include "router_service/simulation/outcome_file.h"
#include "router_service/simulation/simulation.h"
#include "router_service/simulation/token_steps/token_profile.h"
#include "router_service/simulation/token_steps/token_simulation.h"

namespace penstock::cli {
namespace {

constexpr int kIncomplete = 2;  // exit code: nothing differs, but the log does not tell everything

struct ReplayCommandOptions {
  std::string decisions;
  std::string trace, outcomes, profiles, estimates, plots;
  std::string token_steps;
  std::vector<double> deadlines;
  double promise = 0.95;
  double warm_up = 0;
  double joules_per_request = 0;
  double watts = 0;
  bool hard = false;
  std::string rule = "credit";
  double start_price = 0;
  bool trust_start_price = false;
  double value = 1;
  uint64_t seed = 1;
  size_t rate = 1;
  size_t skip_rows = 100;
  bool json = false;
};

absl::Status TellSkipped(const router::MalformedRows& malformed) {
  if (malformed.count() == 0) return absl::OkStatus();
  std::fprintf(stderr, "warning: %zu malformed rows skipped:\n", malformed.count());
  for (const std::string& named : malformed.named()) std::fprintf(stderr, "  %s\n", named.c_str());
  if (malformed.count() > malformed.named().size()) std::fprintf(stderr, "  ...\n");
  return absl::OkStatus();
}

router::SimulationOptions SimulationOf(const ReplayCommandOptions& options) {
  router::SimulationOptions simulation;
  if (options.watts > 0 || options.joules_per_request > 0) {
    config::v1::Budget& budget = simulation.budgets.emplace_back();
    const bool watts = options.watts > 0;
    budget.set_amount(watts ? options.watts : options.joules_per_request);
    budget.set_per(watts ? config::v1::Budget::SECOND : config::v1::Budget::REQUEST);
    budget.set_hard(options.hard);
  }
  simulation.pacer.learning = options.rule != "fixed";
  simulation.pacer.rule =
      options.rule == "descent" ? router::PriceRule::kMirrorDescent : router::PriceRule::kCredit;
  simulation.pacer.start_price_per_joule = options.start_price;
  simulation.pacer.trust_start_price = options.trust_start_price;
  simulation.value = options.value;
  simulation.seed = options.seed;
  return simulation;
}

absl::Status RunDecisions(const ReplayCommandOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(
      CheckFileForm("--decisions", options.decisions, FileForm::kPlainJsonLines));
  PENSTOCK_ASSIGN_OR_RETURN(const router::DecisionReplayReport report,
                            router::ReplayDecisions(options.decisions));
  const std::string told = options.json ? DecisionReplayJson(report) : FormatDecisionReplay(report);
  std::printf("%s", told.c_str());
  if (report.failed()) {
    return absl::DataLossError(absl::StrCat(options.decisions, ": ", report.mismatches.count(),
                                            " numbers came out otherwise than logged"));
  }
  if (report.incomplete.empty()) return absl::OkStatus();
  return WithExitCode(
      absl::DataLossError(absl::StrCat(options.decisions, " is incomplete: ",
                                       absl::StrJoin(report.incomplete, "; "),
                                       "; what it does tell came out as logged")),
      kIncomplete);
}

absl::Status RunTokenSteps(const ReplayCommandOptions& options, const router::ArrivalTrace& trace,
                           router::OutcomeMatrix outcomes) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<router::TokenProfile> told,
                            router::ReadTokenProfiles(options.token_steps));
  PENSTOCK_RETURN_IF_ERROR(router::CompleteTokens(outcomes, told));
  PENSTOCK_RETURN_IF_ERROR(router::Complete(outcomes, {}).status());
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<router::TokenProfile> profiles,
                            router::InOrderOf(outcomes.experts, told));
  router::DeadlineDraw draw;
  if (!options.deadlines.empty()) {
    if (options.deadlines[0] > options.deadlines[1]) {
      return absl::InvalidArgumentError(absl::StrCat("--deadlines ", options.deadlines[0], " ",
                                                     options.deadlines[1],
                                                     ": wanted the least first"));
    }
    draw = {.unit_s = 1, .least = options.deadlines[0], .most = options.deadlines[1]};
  }
  std::vector<router::TokenArrival> arrivals =
      router::DrawArrivals(trace, outcomes.rows(), draw, options.seed);
  if (options.deadlines.empty()) {
    for (router::TokenArrival& arrival : arrivals) arrival.deadline_s = HUGE_VAL;
  }
  TokenReport report;
  PENSTOCK_ASSIGN_OR_RETURN(
      report.result,
      router::SimulateTokenSteps(arrivals, outcomes, profiles,
                                 {.promise = options.promise,
                                  .value = options.value,
                                  .price_per_joule = options.start_price}));
  report.promise = options.promise;
  report.counted_from_s = options.warm_up;
  report.load = trace.rate() / router::PoolCapacity(outcomes, profiles);
  report.promises = router::MakePromiseReport(report.result, outcomes, options.warm_up);
  if (report.promises.requests == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("no request arrives after --warm_up ", options.warm_up));
  }
  report.outcomes = std::move(outcomes);
  std::printf("%s",
              (options.json ? TokenReportJson(report) : FormatTokenReport(report)).c_str());
  return absl::OkStatus();
}

absl::Status CheckForms(const ReplayCommandOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(CheckFileForm("--trace", options.trace, FileForm::kCsv));
  PENSTOCK_RETURN_IF_ERROR(
      CheckFileForm("--outcomes", options.outcomes, FileForm::kCsvOrJsonLines));
  PENSTOCK_RETURN_IF_ERROR(CheckFileForm("--profiles", options.profiles, FileForm::kYaml));
  PENSTOCK_RETURN_IF_ERROR(CheckFileForm("--estimates", options.estimates, FileForm::kCsv));
  return CheckFileForm("--token_steps", options.token_steps, FileForm::kYaml);
}

absl::Status RunReplay(const ReplayCommandOptions& options) {
  if (!options.decisions.empty()) return RunDecisions(options);
  if (options.trace.empty() || options.outcomes.empty()) {
    return absl::InvalidArgumentError("wanted --trace and --outcomes, or --decisions");
  }
  PENSTOCK_RETURN_IF_ERROR(CheckForms(options));
  router::MalformedRows malformed(options.skip_rows);
  PENSTOCK_ASSIGN_OR_RETURN(router::ArrivalTrace trace,
                            router::ReadArrivalTrace(options.trace, malformed));
  if (options.rate > 1) trace = trace.Faster(options.rate);
  ReplayReport report;
  PENSTOCK_ASSIGN_OR_RETURN(report.outcomes, router::ReadOutcomes(options.outcomes, malformed));
  std::vector<router::ExpertProfile> profiles;
  if (!options.profiles.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(profiles, router::ReadExpertProfiles(options.profiles));
  }
  if (!options.estimates.empty()) {
    PENSTOCK_RETURN_IF_ERROR(
        router::ReadEstimates(options.estimates, report.outcomes, malformed));
    report.estimates_from_file = true;
  }
  PENSTOCK_RETURN_IF_ERROR(TellSkipped(malformed));
  if (!options.token_steps.empty()) {
    return RunTokenSteps(options, trace, std::move(report.outcomes));
  }
  PENSTOCK_ASSIGN_OR_RETURN(report.completion, router::Complete(report.outcomes, profiles));

  router::SimulationOptions simulation = SimulationOf(options);
  if (!profiles.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<router::ExpertProfile> ordered,
                              router::InOrderOf(report.outcomes, profiles));
    for (const router::ExpertProfile& profile : ordered) simulation.slots.push_back(profile.slots);
  }
  const auto started = std::chrono::steady_clock::now();
  PENSTOCK_ASSIGN_OR_RETURN(report.result, router::Simulate(trace, report.outcomes, simulation));
  report.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  report.target = {.joules_per_request = options.joules_per_request, .watts = options.watts};
  report.spend = router::MakeSpendReport(report.result, report.outcomes, report.target);
  if (!simulation.budgets.empty()) {
    const double each = options.watts > 0 ? options.watts * report.spend.seconds /
                                                static_cast<double>(report.spend.requests)
                                          : options.joules_per_request;
    const std::vector<uint32_t> rows = router::RowsOf(report.result);
    report.hindsight =
        router::Hindsight(report.outcomes, rows, each, router::HindsightCost::kPredicted);
    report.bound = router::Hindsight(report.outcomes, rows, each, router::HindsightCost::kActual);
    report.mixed_singles = router::MixedSingles(report.outcomes, rows, each);
  }
  std::printf("%s",
              (options.json ? ReplayReportJson(report) : FormatReplayReport(report)).c_str());
  return options.plots.empty() ? absl::OkStatus() : WriteReplayPlots(report, options.plots);
}

}  // namespace

void RegisterReplay(CLI::App& app, Run& run) {
  auto options = std::make_shared<ReplayCommandOptions>();
  CLI::App& command = *app.add_subcommand(
      "replay",
      "Answers \"what would this budget have done to that hour of traffic?\" without any expert: the\n"
      "router's own pacer and selector decide on a simulated clock, arrival by arrival of a trace; each\n"
      "arrival is a request drawn from a table of outcomes, and its joules are settled when its run is\n"
      "over. Told are quality, joules, watts over time and shares, beside the best price in hindsight.\n\n"
      "  penstock replay --trace arrivals.csv --outcomes answers.csv --joules_per_request 40\n"
      "  penstock replay --trace arrivals.csv.gz --outcomes answers.jsonl.gz --profiles experts.yaml \\\n"
      "      --watts 150 --plots out/\n\n"
      "Trace: CSV with a column t_ms. Outcomes: CSV id,expert,quality[,joules,seconds,tokens,\n"
      "predicted_quality,predicted_joules], or JSON lines as for `train`. Profiles:\n"
      "  experts:\n"
      "    - {name: small, joules_per_token: 0.17, seconds_per_token: 0.009, slots: 64}\n"
      "The same files and seed give the same digest.\n\n"
      "With --token_steps it answers \"which deadlines would have been met?\": experts are servers with\n"
      "continuous batching, the router's own cost model predicts and learns their latencies, and each\n"
      "request goes to the best expert that is in time. Outcomes then need tokens, and may tell\n"
      "prompt_tokens and predicted_tokens:\n\n"
      "  penstock replay --trace arrivals.csv --outcomes answers.csv --token_steps servers.yaml \\\n"
      "      --deadlines 2 10\n\n"
      "  experts:\n"
      "    - {name: small, servers: 2, batch_limit: 32, prefill: [{tokens: 128, seconds: .02}],\n"
      "       steps: [{batch: 1, seconds: .007, joules: 3.4}, {batch: 32, seconds: .009, joules: 5.3}]}\n\n"
      "With --decisions it answers \"did the router decide as its log says?\": prices, headroom and\n"
      "choices of a decision log are reckoned again from its first line on, by the same code, and\n"
      "must come out the same to the last bit. Ends with 1 where one does not, and names it; with 2\n"
      "where all do but the log does not tell everything, and says what is missing:\n\n"
      "  penstock replay --decisions decisions/      a router's decision_log.directory, or an export of it");
  auto* decisions = command.add_option("--decisions", options->decisions,
                                       "a decision log's folder, or a file exported from one: makes its decisions again");
  command.add_option("--trace", options->trace, "arrivals, CSV (.gz too)")->excludes(decisions);
  command.add_option("--outcomes", options->outcomes, "answers of every expert, CSV or JSON lines (.gz too)")
      ->excludes(decisions);
  command.add_option("--profiles", options->profiles,
                     "YAML: joules, seconds and slots of experts where the table does not tell them");
  command.add_option("--estimates", options->estimates,
                     "CSV id,model,q,cost: what the router predicts; unset: the table's, else means");
  auto* steps = command.add_option("--token_steps", options->token_steps,
                                   "YAML: servers of experts, in token steps; price by --start_price")
                    ->excludes(decisions);
  command.add_option("--deadlines", options->deadlines,
                     "LEAST MOST seconds, log-uniform, of --token_steps; unset: none")
      ->expected(2)
      ->check(CLI::PositiveNumber)
      ->needs(steps);
  command.add_option("--promise", options->promise,
                     "quantile of latency that is predicted, of --token_steps")
      ->check(CLI::Range(0.01, 0.999))
      ->capture_default_str();
  command.add_option("--warm_up", options->warm_up,
                     "seconds of arrivals that are not counted, of --token_steps")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  auto* joules = command.add_option("--joules_per_request", options->joules_per_request,
                                    "budget: mean joules of a request")
                     ->check(CLI::PositiveNumber)
                     ->excludes(steps);
  command.add_option("--watts", options->watts, "budget: joules a second, saved up for 600 s at most")
      ->check(CLI::PositiveNumber)
      ->excludes(joules)
      ->excludes(steps);
  command.add_flag("--hard", options->hard, "refuse what the budget does not cover, rather than degrade");
  command.add_option("--rule", options->rule,
                     "credit (what the router does), descent (plain dual mirror descent), or fixed (the\n"
                     "start price throughout)")
      ->check(CLI::IsMember({"credit", "descent", "fixed"}))
      ->capture_default_str();
  command.add_option("--start_price", options->start_price, "quality units per joule")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_flag("--trust_start_price", options->trust_start_price,
                   "of --watts: keep it as the level, and meet bursts by credit alone");
  command.add_option("--value", options->value, "worth of one right answer in quality units")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--rate", options->rate, "the trace this many times as fast and as often")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--seed", options->seed, "which request each arrival is")->capture_default_str();
  command.add_option("--skip_rows", options->skip_rows,
                     "malformed rows that are skipped; one more stops the run")
      ->capture_default_str();
  command.add_option("--plots", options->plots, "folder for watts.svg, price.svg and quality.svg");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunReplay(*options); }; });
}

}  // namespace penstock::cli
