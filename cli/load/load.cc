#include <CLI/CLI.hpp>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/client/pool_client.h"
#include "cli/client/request_options.h"
#include "cli/command.h"
#include "cli/load/load_generator.h"
#include "cli/load/request_log.h"
#include "cli/output/table.h"
#include "common/status_macros.h"
#include "common/time/timers.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

struct LoadOptions {
  RequestOptions request;
  double rate = 0;
  bool constant = false;
  size_t concurrency = 0;
  double duration_s = 10;
  uint64_t count = 0;
  uint64_t rows = 1;
  uint64_t seed = 1;
  std::string requests;
  bool json = false;
};

// Open loop: requests in flight before those that are due are counted instead of sent.
constexpr size_t kMaxOutstanding = 10'000;

struct RetryCount final : gateway::Forwarder::Observer {
  RetryCount(RequestLog* to, const Clock& told_by) : log(to), clock(told_by) {}
  void Retried(absl::string_view why) override {
    count.fetch_add(1);
    if (log != nullptr) log->AddRetry(why, clock.Now());
  }
  RequestLog* const log;  // may be null
  const Clock& clock;
  std::atomic<uint64_t> count{0};
};

nlohmann::ordered_json ResultJson(const LoadResult& result) {
  const double scheduled = static_cast<double>(std::max<uint64_t>(1, result.scheduled));
  nlohmann::ordered_json json = {
      {"scheduled", result.scheduled},
      {"answered", result.answered},
      {"errors", result.errors},
      {"retried", result.retried},
      {"seconds", result.seconds},
      {"requests_per_second", static_cast<double>(result.answered) / result.seconds},
      {"p50_ms", result.Quantile(0.5)},
      {"p90_ms", result.Quantile(0.9)},
      {"p99_ms", result.Quantile(0.99)},
      {"max_ms", result.Quantile(1)},
      {"energy_j_mean", result.energy_known > 0
                            ? nlohmann::ordered_json(result.energy_j / result.energy_known)
                            : nlohmann::ordered_json(nullptr)},
      {"deadline_hit_share", static_cast<double>(result.deadline_hits) / scheduled},
      {"experts", result.experts}};
  return json;
}

void Print(const LoadResult& result, bool has_budget) {
  Table table({"figure", "value"});
  table.AddRow({"requests scheduled", absl::StrCat(result.scheduled)});
  table.AddRow({"answered OK", absl::StrCat(result.answered)});
  for (const auto& [code, count] : result.errors) table.AddRow({code, absl::StrCat(count)});
  if (result.retried > 0) table.AddRow({"retried elsewhere", absl::StrCat(result.retried)});
  table.AddRow({"requests/s", absl::StrFormat("%.1f", result.answered / result.seconds)});
  for (const auto& [name, q] : {std::pair("p50 ms", 0.5), {"p90 ms", 0.9}, {"p99 ms", 0.99}, {"max ms", 1.0}}) {
    table.AddRow({name, absl::StrFormat("%.2f", result.Quantile(q))});
  }
  if (result.energy_known > 0) {
    table.AddRow({"mJ/request", absl::StrFormat("%.3f", 1000 * result.energy_j / result.energy_known)});
  }
  if (has_budget && result.scheduled > 0) {
    table.AddRow({"in time %", absl::StrFormat("%.2f", 100.0 * result.deadline_hits / result.scheduled)});
  }
  for (const auto& [experts, count] : result.experts) {
    table.AddRow({"by " + experts, absl::StrCat(count)});
  }
  std::printf("%s", table.ToString().c_str());
}

// Row r of an `@FILE` input, for each of the rows.
std::vector<std::string> InputsOfRow(const std::vector<std::string>& inputs, uint64_t row,
                                     uint64_t rows) {
  std::vector<std::string> result = inputs;
  if (rows <= 1) return result;
  for (std::string& input : result) {
    if (input.find("=@") != std::string::npos && input.find('#') == std::string::npos) {
      absl::StrAppend(&input, "#", row);
    }
  }
  return result;
}

absl::Status RunLoad(const LoadOptions& options) {
  if ((options.rate > 0) == (options.concurrency > 0)) {
    return absl::InvalidArgumentError("wanted either --rate (open loop) or --concurrency (closed loop)");
  }
  std::unique_ptr<RequestLog> log;
  if (!options.requests.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(log, RequestLog::Create(options.requests));
  }
  std::vector<std::unique_ptr<PoolClient>> clients;
  std::vector<std::unique_ptr<NamingTarget>> named;
  std::vector<InferTarget*> targets;
  for (const auto& address : absl::StrSplit(options.request.client.target, ',', absl::SkipEmpty())) {
    ClientOptions client = options.request.client;
    client.target = std::string(address);
    PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<PoolClient> created, PoolClient::Create(client));
    PENSTOCK_RETURN_IF_ERROR(created->WaitUntilHealthy(absl::Seconds(10)));
    named.push_back(std::make_unique<NamingTarget>(created->target()));
    targets.push_back(named.back().get());
    clients.push_back(std::move(created));
  }
  if (clients.empty()) return absl::InvalidArgumentError("--target: is empty");
  PENSTOCK_ASSIGN_OR_RETURN(const auto metadata,
                            FetchMetadata(*clients.front(), options.request.pool));
  LoadPlan plan;
  plan.pool = options.request.pool;
  plan.metadata = clients.front()->metadata();
  plan.rate = options.rate;
  plan.poisson = !options.constant;
  plan.outstanding = options.concurrency > 0 ? options.concurrency : kMaxOutstanding;
  plan.count = options.count;
  plan.duration = absl::Seconds(options.duration_s);
  plan.timeout = absl::Seconds(options.request.timeout_s);
  plan.latency_budget_ms = options.request.latency_budget_ms.value_or(0);
  plan.seed = options.seed;
  for (uint64_t row = 0; row < options.rows; ++row) {
    RequestOptions request = options.request;
    request.inputs = InputsOfRow(request.inputs, row, options.rows);
    PENSTOCK_ASSIGN_OR_RETURN(const InferRequest built, BuildRequest(request, metadata));
    plan.requests.push_back(EncodeInferRequest(built).Flattened());
  }

  const RealClock clock;
  ThreadTimers timers(clock);
  RetryCount retries(log.get(), clock);
  gateway::Forwarder forwarder(std::move(targets), clock, timers, retries);
  Progress progress("load", 1000);
  LoadGenerator::OnFinished on_finished;
  if (log != nullptr) on_finished = [&log](const FinishedRequest& done) { log->Add(done); };
  LoadResult result = LoadGenerator(forwarder, clock)
                          .Run(
                              plan,
                              [&progress](double share) {
                                progress.Advance(static_cast<size_t>(1000 * share));
                              },
                              on_finished);
  result.retried = retries.count.load();
  if (options.json) {
    std::printf("%s\n", ResultJson(result).dump(2).c_str());
  } else {
    Print(result, plan.latency_budget_ms > 0);
  }
  if (log != nullptr) PENSTOCK_RETURN_IF_ERROR(log->Close());
  return absl::OkStatus();
}

}  // namespace

void RegisterLoad(CLI::App& app, Run& run) {
  auto options = std::make_shared<LoadOptions>();
  CLI::App& command = *app.add_subcommand(
      "load",
      "Sends a pool many requests and reports throughput, latency quantiles, joules and errors.\n"
      "--target may name several gateways, comma-separated: each request goes to a healthy one, and once\n"
      "more to another if that one is leaving. Latency counts from the time a request was due");
  AddRequestOptions(command, options->request);
  command.add_option("--rate", options->rate, "open loop: requests a second (Poisson)")
      ->check(CLI::PositiveNumber);
  command.add_flag("--constant", options->constant, "open loop: evenly spaced instead");
  command.add_option("--concurrency", options->concurrency, "closed loop: requests in flight")
      ->check(CLI::Range(1, 10000));
  command.add_option("--duration_s", options->duration_s, "how long")->capture_default_str();
  command.add_option("--count", options->count, "stop after so many requests");
  command.add_option("--rows", options->rows, "send the first so many rows of an @FILE input in turn")
      ->check(CLI::Range(1, 1000000));
  command.add_option("--seed", options->seed, "seed of the arrivals")->capture_default_str();
  command.add_option("--requests", options->requests,
                     "file that gets a JSON line for every request as it ends (due, ended, ms, target, "
                     "code, message) and for every second attempt (at, retried)");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunLoad(*options); }; });
}

}  // namespace penstock::cli
