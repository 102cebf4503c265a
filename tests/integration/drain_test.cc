// One of two gateways, routers and replicas after the other is told to leave, under load: nobody
// notices, and every request that a handler took was answered.

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
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

constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", threads: 1, drain: {grace: 0.5s}})";
constexpr int kConcurrency = 8;

struct Counts {
  uint64_t accepted = 0;
  uint64_t answered = 0;
  uint64_t retries = 0;  // second attempts at the next hop
};

uint64_t RetriesIn(const std::string& metrics, const std::string& service) {
  return static_cast<uint64_t>(
      cli::SumOfMetric(metrics, absl::StrCat("penstock_", service, "_retries_total")));
}

// Of a process that runs, by its metrics.
Counts Scrape(const Process& process, const std::string& service) {
  const auto text = cli::ScrapeMetrics(process.metrics());
  EXPECT_TRUE(text.ok()) << text.status();
  if (!text.ok()) return {};
  const auto read = [&](const char* what) {
    return static_cast<uint64_t>(
        cli::SumOfMetric(*text, absl::StrCat("penstock_", service, "_", what, "_total")));
  };
  return {read("accepted"), read("answered"), RetriesIn(*text, service)};
}

// Of a process that has left, by its last words.
Counts LastWords(const Process& process) {
  Counts counts;
  bool found = false;
  for (const absl::string_view line : absl::StrSplit(process.Log(), '\n')) {
    if (!absl::StrContains(line, "event=drained ")) continue;
    found = true;
    for (const absl::string_view word : absl::StrSplit(line, ' ')) {
      const std::pair<absl::string_view, absl::string_view> pair =
          absl::StrSplit(word, absl::MaxSplits('=', 1));
      uint64_t* count = nullptr;
      if (pair.first == "accepted") count = &counts.accepted;
      if (pair.first == "answered") count = &counts.answered;
      EXPECT_TRUE(count == nullptr || absl::SimpleAtoi(pair.second, count)) << line;
    }
  }
  EXPECT_TRUE(found) << process.Log();
  return counts;
}

class CountRetries final : public gateway::Forwarder::Observer {
 public:
  void Retried(absl::string_view) override { ++count; }
  std::atomic<uint64_t> count{0};
};

// Load in a thread of its own, until it is told to stop.
class Load {
 public:
  Load(std::vector<InferTarget*> gateways, const std::string& pool)
      : timers_(clock_), forwarder_(std::move(gateways), clock_, timers_, retries_) {
    plan_.pool = pool;
    plan_.requests = {EncodeInferRequest(TinyRequest(pool)).Flattened()};
    plan_.outstanding = kConcurrency;
    plan_.count = 100;
    thread_ = std::thread([this] { Run(); });
  }
  ~Load() { Stop(); }

  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // Answers so far.
  uint64_t answered() const { return answered_; }
  // After Stop.
  const std::map<std::string, uint64_t>& errors() const { return errors_; }
  uint64_t retried() const { return retries_.count; }

 private:
  void Run() {
    while (!stop_) {
      const cli::LoadResult result =
          cli::LoadGenerator(forwarder_, clock_).Run(plan_, [](double) {});
      answered_ += result.answered;
      for (const auto& [code, count] : result.errors) errors_[code] += count;
    }
  }

  const RealClock clock_;
  ThreadTimers timers_;
  CountRetries retries_;
  gateway::Forwarder forwarder_;
  cli::LoadPlan plan_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> answered_{0};
  std::map<std::string, uint64_t> errors_;
  std::thread thread_;
};

class DrainTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteTinyModel(folder_, "tiny");
    std::string replicas, routers;
    for (int i = 0; i < 2; ++i) {
      experts_[i] = Process::Start(
          "penstock-expert",
          absl::Substitute("server: $0\nmodel_repository: $1\ntrust_plaintext: true\n"
                           "execution: {threads: 1, warm_up_runs: 1}\n",
                           kServer, folder_.path()));
      ASSERT_NE(experts_[i], nullptr);
      absl::StrAppend(&replicas, i == 0 ? "" : ", ", "{address: \"", experts_[i]->grpc(), "\"}");
    }
    for (int i = 0; i < 2; ++i) {
      routers_[i] = Process::Start(
          "penstock-router",
          absl::Substitute(
              "server: $0\ntrust_plaintext: true\npools: [{name: pool, experts: [{name: "
              "tiny, replicas: [$1]}]}]\n",
              kServer, replicas));
      ASSERT_NE(routers_[i], nullptr);
      absl::StrAppend(&routers, i == 0 ? "" : ", ", "{address: \"", routers_[i]->grpc(), "\"}");
      ASSERT_TRUE(TestClient(routers_[i]->grpc()).WaitForExperts());
    }
    std::vector<InferTarget*> targets;
    for (int i = 0; i < 2; ++i) {
      gateways_[i] = Process::Start(
          "penstock-gateway",
          absl::Substitute("server: $0\nrouters: [$1]\npage: {http: \"off\"}\n", kServer, routers));
      ASSERT_NE(gateways_[i], nullptr);
      clients_[i] = std::make_unique<TestClient>(gateways_[i]->grpc());
      targets.push_back(&clients_[i]->target());
    }
    load_ = std::make_unique<Load>(targets, "pool");
  }

  // Until so many more requests have been answered.
  bool Answer(uint64_t more) {
    const uint64_t wanted = load_->answered() + more;
    return Eventually([&] { return load_->answered() >= wanted; });
  }

  // SIGTERM to `process` while requests go through it.
  Counts Leave(Process& process, const std::string& service) {
    EXPECT_TRUE(Answer(300));
    EXPECT_GT(Scrape(process, service).answered, 0) << "no request goes through it";
    process.Terminate();
    uint64_t retries = 0;
    EXPECT_TRUE(Eventually([&] {
      const auto text = cli::ScrapeMetrics(process.metrics());
      if (text.ok()) retries = RetriesIn(*text, service);
      return !process.running();
    }));
    EXPECT_EQ(process.Wait(), 0);
    EXPECT_TRUE(Answer(300)) << "the other " << service << " does not take over";
    Counts counts = LastWords(process);
    counts.retries = retries;
    EXPECT_GT(counts.accepted, 0);
    EXPECT_EQ(counts.accepted, counts.answered) << service;
    return counts;
  }
  static Counts Survivor(const Process& process, const std::string& service) {
    const Counts counts = Scrape(process, service);
    EXPECT_EQ(counts.accepted, counts.answered) << service;
    return counts;
  }

  TempDir folder_;
  std::unique_ptr<Process> experts_[2];
  std::unique_ptr<Process> routers_[2];
  std::unique_ptr<Process> gateways_[2];
  std::unique_ptr<TestClient> clients_[2];
  std::unique_ptr<Load> load_;
};

TEST_F(DrainTest, NobodyNoticesThatOneOfTwoLeaves) {
  const Counts gateway = Leave(*gateways_[0], "gateway");
  const Counts router = Leave(*routers_[0], "router");
  const Counts expert = Leave(*experts_[0], "expert");
  load_->Stop();
  EXPECT_TRUE(load_->errors().empty())
      << load_->errors().begin()->first << " " << load_->errors().begin()->second;

  // Each attempt that a handler took was answered, and hop for hop there are as many answers as
  // questions: one for each of the load's, and at most one more for each that was asked twice.
  const Counts gateway_left = Survivor(*gateways_[1], "gateway");
  const Counts router_left = Survivor(*routers_[1], "router");
  const Counts expert_left = Survivor(*experts_[1], "expert");
  const uint64_t gateways = gateway.answered + gateway_left.answered;
  const uint64_t routers = router.answered + router_left.answered;
  const uint64_t experts = expert.answered + expert_left.answered;
  EXPECT_GE(gateways, load_->answered());
  EXPECT_LE(gateways, load_->answered() + load_->retried());
  EXPECT_GE(routers, gateways);
  EXPECT_LE(routers, gateways + gateway.retries + gateway_left.retries);
  EXPECT_GE(experts, routers);
  EXPECT_LE(experts, routers + router.retries + router_left.retries);
}

}  // namespace
}  // namespace penstock
