// Replicas that stall now and then, and one that is slow for good: what hedging and the choice of
// replicas make of them, over sockets.

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "cli/client/metrics_scrape.h"
#include "cli/load/load_generator.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "gateway/forwarding/forwarder.h"
#include "gtest/gtest.h"
#include "tests/integration/client.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

constexpr char kServer[] = R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", threads: 1})";
// Requests a second: two in flight on the mean, so that the machine's own load stays small.
constexpr double kRate = 200;

// Sum over the label sets of a counter that have all of these labels.
double Sum(const std::string& metrics, const std::string& name,
           const std::vector<std::string>& labels) {
  double sum = 0;
  for (const absl::string_view line : absl::StrSplit(metrics, '\n')) {
    if (!absl::StartsWith(line, absl::StrCat(name, "{"))) continue;
    bool all = true;
    for (const std::string& label : labels) all = all && absl::StrContains(line, label);
    double value = 0;
    if (all && absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &value)) sum += value;
  }
  return sum;
}

void Report(const std::string& what, double value) {
  std::printf("[ figure   ] %s=%.4g\n", what.c_str(), value);
}

class TailLatency : public testing::Test {
 protected:
  // A replica whose answers take 10 ms at least, and what the faults make of it.
  std::string StartExpert(const std::string& faults) {
    experts_.push_back(Process::Start(
        "penstock-expert",
        absl::Substitute("server: $0\nmodel_repository: $1\ntrust_plaintext: true\n"
                         "execution: {threads: 1, warm_up_runs: 1}\nfault: {hold: 10ms$2}\n",
                         kServer, folder_.path(), faults)));
    return experts_.back() == nullptr
               ? ""
               : absl::StrCat("{address: \"", experts_.back()->grpc(), "\"}");
  }

  // `pools`: text with $0 for an expert's model and replicas.
  void StartRouter(const std::string& pools, const std::string& replicas) {
    const std::string expert = absl::StrCat("{name: tiny, replicas: [", replicas, "]}");
    router_ = Process::Start("penstock-router",
                             absl::Substitute("server: $0\ntrust_plaintext: true\npools: [$1]\n",
                                              kServer, absl::Substitute(pools, expert)));
    ASSERT_NE(router_, nullptr);
    client_ = std::make_unique<TestClient>(router_->grpc());
    ASSERT_TRUE(client_->WaitForExperts());
  }

  cli::LoadResult Load(const std::string& pool, double seconds) {
    class NoObserver final : public gateway::Forwarder::Observer {
     public:
      void Retried(absl::string_view) override {}
    };
    const RealClock clock;
    ThreadTimers timers(clock);
    NoObserver observer;
    gateway::Forwarder forwarder({&client_->target()}, clock, timers, observer);
    cli::LoadPlan plan;
    plan.pool = pool;
    plan.requests = {EncodeInferRequest(TinyRequest(pool)).Flattened()};
    plan.rate = kRate;
    plan.outstanding = 1000;
    plan.duration = absl::Seconds(seconds);
    plan.timeout = absl::Seconds(10);
    const cli::LoadResult result = cli::LoadGenerator(forwarder, clock).Run(plan, [](double) {});
    EXPECT_EQ(result.ErrorCount(), 0u);
    return result;
  }

  static std::string Metrics(const Process& process) {
    const auto text = cli::ScrapeMetrics(process.metrics());
    EXPECT_TRUE(text.ok()) << text.status();
    return text.value_or("");
  }
  static double Taken(const Process& expert) {
    return cli::SumOfMetric(Metrics(expert), "penstock_expert_accepted_total");
  }

  TempDir folder_;
  std::vector<std::unique_ptr<Process>> experts_;
  std::unique_ptr<Process> router_;
  std::unique_ptr<TestClient> client_;
};

TEST_F(TailLatency, HedgingCutsTheTailOfStallsWithinItsShare) {
  WriteTinyModel(folder_, "tiny");
  std::vector<std::string> replicas;
  for (int i = 0; i < 3; ++i) {
    replicas.push_back(
        StartExpert(absl::StrCat(", stall_share: 0.02, stall_factor: 20, seed: ", i + 1)));
  }
  // No second attempt at all; one where the first is taken to be lost, which is the default; hedges
  // and nothing else.
  constexpr char kNoRetries[] = "resilience: {retries: {share: 0, min_per_second: 0}}";
  StartRouter(absl::StrCat("{name: alone, experts: [$0], ", kNoRetries,
                           "}, {name: lost, experts: [$0]}, "
                           "{name: hedged, experts: [$0], hedging: {}, ",
                           kNoRetries, "}"),
              absl::StrJoin(replicas, ", "));
  // In turn, twice, so that what else the machine does falls on all.
  std::map<std::string, std::vector<double>> latency_ms;
  for (int round = 0; round < 2; ++round) {
    for (const char* pool : {"alone", "lost", "hedged"}) {
      const cli::LoadResult result = Load(pool, 10);
      std::vector<double>& all = latency_ms[pool];
      all.insert(all.end(), result.latency_ms.begin(), result.latency_ms.end());
    }
  }
  std::map<std::string, double> p99;
  for (auto& [pool, all] : latency_ms) {
    std::sort(all.begin(), all.end());
    ASSERT_GE(all.size(), 3000u);
    p99[pool] = all[static_cast<size_t>(0.99 * static_cast<double>(all.size()))];
    Report(absl::StrCat(pool, "_requests"), static_cast<double>(all.size()));
    Report(absl::StrCat(pool, "_p99_ms"), p99[pool]);
  }
  const std::string metrics = Metrics(*router_);
  const auto attempts = [&](const std::string& pool, const std::string& reason) {
    return Sum(metrics, "penstock_router_dispatches_total",
               {absl::StrCat("pool=\"", pool, "\""), absl::StrCat("reason=\"", reason, "\"")});
  };
  const auto hedges = [&](const std::string& outcome) {
    return Sum(metrics, "penstock_router_hedges_total",
               {"pool=\"hedged\"", absl::StrCat("outcome=\"", outcome, "\"")});
  };
  const double second = attempts("hedged", "hedge") + attempts("hedged", "retry");
  const double share = second / attempts("hedged", "chosen");
  Report("p99_times_less", p99["alone"] / p99["hedged"]);
  Report("extra_dispatches", share);
  Report("lost_extra_dispatches", attempts("lost", "retry") / attempts("lost", "chosen"));
  for (const char* outcome : {"won", "lost", "refused"}) {
    Report(absl::StrCat("hedges_", outcome), hedges(outcome));
  }
  EXPECT_EQ(attempts("alone", "retry") + attempts("alone", "hedge"), 0);
  EXPECT_GE(p99["alone"] / p99["hedged"], 3);
  EXPECT_LE(share, 0.05);
  EXPECT_GT(hedges("won"), 0);
  EXPECT_EQ(hedges("won") + hedges("lost"), second);
}

TEST_F(TailLatency, AReplicaThatIsSlowForGoodIsLeftWithinTwoSeconds) {
  WriteTinyModel(folder_, "tiny");
  const std::string quick = StartExpert(""), other = StartExpert("");
  const std::string slow = StartExpert(", stall_share: 1, stall_factor: 20");
  StartRouter("{name: pool, experts: [$0]}", absl::StrCat(quick, ", ", slow, ", ", other));
  const Process& slow_expert = *experts_[2];
  const double at_first = Taken(slow_expert);
  const double asked_first = static_cast<double>(Load("pool", 2).answered);
  const double before = Taken(slow_expert);
  const cli::LoadResult result = Load("pool", 10);
  const double share = (Taken(slow_expert) - before) / static_cast<double>(result.answered);
  Report("share_in_first_2s", (before - at_first) / asked_first);
  Report("share_after_2s", share);
  Report("p99_after_2s_ms", result.Quantile(0.99));
  EXPECT_LT(share, 0.01);
  EXPECT_GT(Taken(*experts_[0]), 0);
  EXPECT_GT(Taken(*experts_[1]), 0);
}

}  // namespace
}  // namespace penstock
