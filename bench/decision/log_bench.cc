// What a request pays for the decision log: the time that DecisionLog::Append and the pacer's
// events take on the request's own thread, with a folder and without one. The folder's chain is
// verified afterwards.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/random.h"
#include "common/time/clock.h"
#include "router_service/recording/chain/verify_log.h"
#include "router_service/recording/decision_log.h"

namespace penstock::router {
namespace {

using Steady = std::chrono::steady_clock;

struct BenchOptions {
  std::vector<int> experts = {3, 16, 64};
  int requests = 20'000;
  int events = 5;   // of the pacer, a request
  int rate = 2000;  // requests a second
  std::string folder = "/tmp";
};

double Nanoseconds(Steady::time_point from) {
  return std::chrono::duration<double, std::nano>(Steady::now() - from).count();
}

// What goes into the log for one request, as a pool of so many experts leaves it.
struct Request {
  SharedDecision decision;
  std::unique_ptr<v1::ChoiceRecord> choice;
  std::vector<std::shared_ptr<v1::PacerEvent>> events;
};

Request MakeRequest(const DecisionLog& log, uint64_t number, const BenchOptions& options,
                    int experts) {
  CounterRandom random(1, number);
  Request request;
  auto decision = std::make_shared<v1::Decision>();
  decision->set_id(log.IdOf(number).ToString());
  decision->set_pool("assistant");
  decision->set_tenant("acme");
  decision->set_status("OK");
  decision->set_objective("quality");
  decision->set_reason("the best expert that the budget covers");
  decision->set_latency_ms(100 * random.Uniform());
  decision->set_energy_j(random.Uniform());
  (*decision->mutable_prices())["joule"] = random.Uniform();
  request.choice = std::make_unique<v1::ChoiceRecord>();
  v1::Choice& choice = *request.choice->add_choices();
  choice.set_price_per_joule(random.Uniform());
  choice.set_net_worth(random.Uniform());
  choice.add_chosen(0);
  choice.add_chosen_weight(1);
  for (int e = 0; e < experts; ++e) {
    v1::Candidate& candidate = *decision->add_candidates();
    candidate.set_expert(absl::StrCat("expert-", e));
    candidate.set_quality(random.Uniform());
    candidate.set_latency_ms(random.Uniform());
    candidate.set_energy_j(random.Uniform());
    request.choice->add_score(random.Uniform());
    request.choice->add_quality(random.Uniform());
    request.choice->add_weight(random.Uniform());
    request.choice->add_latency_s(random.Uniform());
    request.choice->add_idle_latency_s(random.Uniform());
    request.choice->add_energy_j(random.Uniform());
  }
  v1::Run& run = *decision->add_runs();
  run.set_expert("expert-0");
  run.set_replica("10.0.0.1:8001");
  run.set_reason("chosen");
  run.set_status("OK");
  request.decision = std::move(decision);
  for (int i = 0; i < options.events; ++i) {
    auto event = std::make_shared<v1::PacerEvent>();
    event->set_sequence(number * static_cast<uint64_t>(options.events) + static_cast<uint64_t>(i) +
                        1);
    event->mutable_settle()->set_energy_j(random.Uniform());
    request.events.push_back(std::move(event));
  }
  return request;
}

struct Cost {
  double mean_ns = 0, p50_ns = 0, p99_ns = 0, most_ns = 0;
};

Cost CostOf(std::vector<double> ns) {
  std::sort(ns.begin(), ns.end());
  Cost cost;
  for (const double each : ns) cost.mean_ns += each / static_cast<double>(ns.size());
  cost.p50_ns = ns[ns.size() / 2];
  cost.p99_ns = ns[ns.size() * 99 / 100];
  cost.most_ns = ns.back();
  return cost;
}

// One request after another, at the rate that was asked for; what each takes.
Cost Drive(DecisionLog& log, const BenchOptions& options, int experts) {
  std::vector<double> ns;
  const auto started = Steady::now();
  for (int i = 0; i < options.requests; ++i) {
    std::this_thread::sleep_until(
        started + std::chrono::nanoseconds(int64_t{1'000'000'000} * i / options.rate));
    Request request = MakeRequest(log, static_cast<uint64_t>(i), options, experts);
    PacerJournal* const journal = log.journal();
    const auto from = Steady::now();
    if (journal != nullptr) {
      for (auto& event : request.events) journal->Record(std::move(event));
    }
    log.Append(std::move(request.decision), nullptr, std::move(request.choice));
    ns.push_back(Nanoseconds(from));
  }
  return CostOf(std::move(ns));
}

void Print(const char* what, int experts, const Cost& cost) {
  std::printf("%-14s %7d %9.0f %9.0f %9.0f %9.0f\n", what, experts, cost.mean_ns, cost.p50_ns,
              cost.p99_ns, cost.most_ns);
}

int Fail(const std::string& message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return 1;
}

int Main(int argc, char** argv) {
  BenchOptions options;
  CLI::App app("What a request pays for the decision log, nanoseconds on its own thread.");
  app.add_option("--experts", options.experts, "of the pool")->delimiter(',');
  app.add_option("--requests", options.requests)->check(CLI::Range(10, 10'000'000));
  app.add_option("--events", options.events, "of the pacer, a request")->check(CLI::Range(0, 100));
  app.add_option("--rate", options.rate, "requests a second")->check(CLI::Range(1, 1'000'000));
  app.add_option("--folder", options.folder, "where the log is written, and removed again");
  CLI11_PARSE(app, argc, argv);

  std::printf("%d requests at %d a second, %d events each; ns a request\n", options.requests,
              options.rate, options.events);
  std::printf("%-14s %7s %9s %9s %9s %9s\n", "log", "experts", "mean", "p50", "p99", "most");
  const RealClock clock;
  for (const int experts : options.experts) {
    config::v1::DecisionLog config;
    {
      auto memory = DecisionLog::Create(config, 1, clock);
      if (!memory.ok()) return Fail(std::string(memory.status().message()));
      Print("memory only", experts, Drive(**memory, options, experts));
    }
    std::string folder = options.folder + "/penstock_log_bench_XXXXXX";
    if (mkdtemp(folder.data()) == nullptr) return Fail("mkdtemp " + folder);
    config.set_directory(folder);
    {
      auto log = DecisionLog::Create(config, 1, clock);
      if (!log.ok()) return Fail(std::string(log.status().message()));
      Print("with a folder", experts, Drive(**log, options, experts));
    }
    const auto report = VerifyLog(folder);
    std::filesystem::remove_all(folder);
    if (!report.ok()) return Fail(std::string(report.status().message()));
    if (report->broken.has_value()) return Fail("the log is broken: " + report->broken->what);
    const uint64_t decisions = report->of_kind[static_cast<size_t>(RecordKind::kDecision)];
    if (decisions + report->lost < static_cast<uint64_t>(options.requests)) {
      return Fail(absl::StrCat("the log has ", decisions, " decisions, and tells of ", report->lost,
                               " that are missing"));
    }
    if (report->lost > 0) {
      std::printf("  %lu records did not fit the queue\n",
                  static_cast<unsigned long>(report->lost));
    }
  }
  return 0;
}

}  // namespace
}  // namespace penstock::router

int main(int argc, char** argv) { return penstock::router::Main(argc, argv); }
