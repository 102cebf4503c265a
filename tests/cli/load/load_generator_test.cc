#include "cli/load/load_generator.h"

#include <cmath>
#include <numeric>
#include <thread>
#include <utility>

#include "common/tensors/infer_message.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_infer_target.h"
#include "tests/support/fake_timers.h"

namespace penstock::cli {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Pair;

InferReply Failure(absl::Status status) {
  return {.status = std::move(status), .body = {}, .trailers = {}};
}

InferReply Success(std::vector<OutParameter> parameters = {}) {
  InferResponse response;
  response.parameters = std::move(parameters);
  return {.status = absl::OkStatus(), .body = EncodeInferResponse(response), .trailers = {}};
}

// The generator waits in real time until a request is due and reads times from a clock that stands
// still: what a test sees is exact, and due times are a few milliseconds at most.
class LoadGeneratorTest : public testing::Test {
 protected:
  LoadGeneratorTest() { plan_.pool = "pool"; }

  struct RetryCount final : gateway::Forwarder::Observer {
    void Retried(absl::string_view) override { ++count; }
    int count = 0;
  };

  LoadResult Run(const LoadGenerator::OnProgress& on_progress = [](double) {}) {
    return LoadGenerator(forwarder_, clock_).Run(plan_, on_progress);
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  RetryCount retries_;
  FakeInferTarget target_;
  gateway::Forwarder forwarder_{{&target_}, clock_, timers_, retries_};
  LoadPlan plan_ = {.requests = {Bytes("a")}};
};

TEST_F(LoadGeneratorTest, ClosedLoopKeepsExactlySoManyInFlight) {
  constexpr size_t kInFlight = 3;
  constexpr size_t kCount = 20;
  plan_.outstanding = kInFlight;
  plan_.count = kCount;
  LoadResult result;
  std::thread running([&] { result = Run(); });
  // Every answer makes room for one more request, and no request comes without room.
  for (size_t answered = 0; answered < kCount; ++answered) {
    const size_t sent = std::min(kCount, answered + kInFlight);
    ASSERT_NE(target_.WaitForCall(sent - 1), nullptr);
    EXPECT_EQ(target_.calls().size(), sent);
    target_.calls()[answered]->Reply(Success());
  }
  running.join();
  EXPECT_EQ(result.scheduled, kCount);
  EXPECT_EQ(result.answered, kCount);
  EXPECT_EQ(result.latency_ms.size(), kCount);
}

TEST_F(LoadGeneratorTest, ClosedLoopEndsWithItsDuration) {
  plan_.duration = absl::Milliseconds(100);
  target_.AnswerWith([this](const Bytes&, const CallOptions&) {
    clock_.Advance(absl::Milliseconds(10));
    return Success();
  });
  const LoadResult result = Run();
  EXPECT_EQ(result.scheduled, 10u);
  EXPECT_EQ(result.answered, 10u);
  EXPECT_THAT(result.seconds, DoubleNear(0.1, 1e-9));
  EXPECT_THAT(result.Quantile(0), DoubleNear(10, 1e-6));
  EXPECT_THAT(result.Quantile(1), DoubleNear(10, 1e-6));
}

TEST_F(LoadGeneratorTest, OpenLoopCountsFromWhenARequestWasDueWhileTheTargetStalls) {
  plan_.rate = 1000;
  plan_.poisson = false;
  plan_.outstanding = 100;
  plan_.count = 5;
  plan_.latency_budget_ms = 46.5;
  // The first call holds the sender up for 50 ms; the others, due meanwhile, are answered at once.
  bool stalled = false;
  target_.AnswerWith([this, &stalled](const Bytes&, const CallOptions&) {
    if (!std::exchange(stalled, true)) clock_.Advance(absl::Milliseconds(50));
    return Success();
  });
  const LoadResult result = Run();
  EXPECT_THAT(result.latency_ms,
              ElementsAre(DoubleNear(45, 1e-6), DoubleNear(46, 1e-6), DoubleNear(47, 1e-6),
                          DoubleNear(48, 1e-6), DoubleNear(49, 1e-6)));
  EXPECT_EQ(result.deadline_hits, 2u);
}

TEST_F(LoadGeneratorTest, OpenLoopSendsWithoutWaitingForAnswers) {
  plan_.rate = 1000;
  plan_.poisson = false;
  plan_.outstanding = 100;
  plan_.count = 5;
  const LoadResult result = Run([this](double share) {
    if (share < 1) return;
    EXPECT_EQ(target_.calls().size(), 5u);
    clock_.Advance(absl::Milliseconds(20));
    for (const auto& call : target_.calls()) call->Reply(Success());
  });
  EXPECT_THAT(result.latency_ms,
              ElementsAre(DoubleNear(15, 1e-6), DoubleNear(16, 1e-6), DoubleNear(17, 1e-6),
                          DoubleNear(18, 1e-6), DoubleNear(19, 1e-6)));
}

TEST_F(LoadGeneratorTest, OpenLoopDoesNotSendAboveItsLimitAndCountsIt) {
  plan_.rate = 1000;
  plan_.poisson = false;
  plan_.outstanding = 2;
  plan_.count = 5;
  const LoadResult result = Run([this](double share) {
    if (share < 1) return;
    for (const auto& call : target_.calls()) call->Reply(Success());
  });
  EXPECT_EQ(target_.calls().size(), 2u);
  EXPECT_EQ(result.scheduled, 5u);
  EXPECT_EQ(result.answered, 2u);
  EXPECT_THAT(result.errors, ElementsAre(Pair("NOT_SENT", 3)));
  EXPECT_EQ(result.ErrorCount(), 3u);
}

TEST_F(LoadGeneratorTest, OpenLoopEndsWithItsDuration) {
  plan_.rate = 1000;
  plan_.poisson = false;
  plan_.outstanding = 100;
  plan_.duration = absl::Microseconds(4500);
  target_.AnswerWith(Success());
  EXPECT_EQ(Run().scheduled, 4u);
}

// Gaps between the times at which the requests of a plan are due, in seconds.
std::vector<double> Gaps(const LoadResult& result) {
  std::vector<double> gaps;
  for (size_t i = 1; i < result.latency_ms.size(); ++i) {
    gaps.push_back((result.latency_ms[i] - result.latency_ms[i - 1]) / 1000);
  }
  return gaps;
}

TEST_F(LoadGeneratorTest, PoissonArrivalsHaveExponentialGapsOfTheRate) {
  plan_.rate = 1e4;
  plan_.outstanding = 100;
  plan_.count = 4000;
  // Everything is due once the first is answered: the latencies are the due times, mirrored.
  bool stalled = false;
  target_.AnswerWith([this, &stalled](const Bytes&, const CallOptions&) {
    if (!std::exchange(stalled, true)) clock_.Advance(absl::Seconds(10));
    return Success();
  });
  const std::vector<double> gaps = Gaps(Run());
  ASSERT_EQ(gaps.size(), 3999u);
  const double mean = std::accumulate(gaps.begin(), gaps.end(), 0.0) / gaps.size();
  double squares = 0;
  for (const double gap : gaps) squares += (gap - mean) * (gap - mean);
  const double deviation = std::sqrt(squares / gaps.size());
  // An exponential's standard deviation is its mean; four standard errors of each.
  EXPECT_THAT(mean * plan_.rate, DoubleNear(1, 0.064));
  EXPECT_THAT(deviation / mean, DoubleNear(1, 0.09));
}

TEST_F(LoadGeneratorTest, SeedDecidesTheArrivals) {
  plan_.rate = 1e4;
  plan_.outstanding = 100;
  plan_.count = 10;
  const auto due_times = [&](uint64_t seed) {
    plan_.seed = seed;
    std::vector<double> gaps = Gaps(Run([this](double share) {
      if (share < 1) return;
      clock_.Advance(absl::Seconds(1));
      for (const auto& call : target_.calls()) call->Reply(Success());
    }));
    for (double& gap : gaps) gap = std::round(gap * 1e7);
    return gaps;
  };
  const std::vector<double> once = due_times(1);
  EXPECT_EQ(once.size(), 9u);
  EXPECT_EQ(once, due_times(1));
  EXPECT_NE(once, due_times(2));
}

TEST_F(LoadGeneratorTest, ErrorsAreCountedByCode) {
  plan_.count = 4;
  int calls = 0;
  target_.AnswerWith([&calls](const Bytes&, const CallOptions&) {
    switch (calls++) {
      case 0: return Success();
      case 3: return Failure(absl::DeadlineExceededError("late"));
      default: return Failure(absl::ResourceExhaustedError("queue"));
    }
  });
  const LoadResult result = Run();
  EXPECT_EQ(result.answered, 1u);
  EXPECT_THAT(result.errors,
              ElementsAre(Pair("DEADLINE_EXCEEDED", 1), Pair("RESOURCE_EXHAUSTED", 2)));
  EXPECT_EQ(result.ErrorCount(), 3u);
  EXPECT_EQ(result.latency_ms.size(), 1u) << "errors have no latency";
}

TEST_F(LoadGeneratorTest, ReadsJoulesAndExpertsFromTheAnswers) {
  plan_.count = 4;
  int calls = 0;
  target_.AnswerWith([&calls](const Bytes&, const CallOptions&) {
    switch (calls++) {
      case 0:
        return Success({{"penstock_energy_j", 0.5}, {"penstock_experts", std::string("small")}});
      case 1:
        return Success({{"penstock_energy_j", 0.25}, {"penstock_experts", std::string("small")}});
      case 2: return Success({{"penstock_experts", std::string("large,small")}});
      default: return Success();
    }
  });
  const LoadResult result = Run();
  EXPECT_EQ(result.answered, 4u);
  EXPECT_EQ(result.energy_j, 0.75);
  EXPECT_EQ(result.energy_known, 2u) << "only answers that said their joules count";
  EXPECT_THAT(result.experts, ElementsAre(Pair("large,small", 1), Pair("small", 2)));
  EXPECT_EQ(result.deadline_hits, 0u) << "there was no budget";
}

TEST_F(LoadGeneratorTest, SendsTheRequestsInTurnWithDeadlineAndMetadata) {
  plan_.requests = {Bytes("a"), Bytes("b")};
  plan_.count = 3;
  plan_.timeout = absl::Seconds(7);
  plan_.metadata = {{"authorization", "Bearer key"}};
  target_.AnswerWith(Success());
  Run();
  const auto calls = target_.calls();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[0]->request().ToString(), "a");
  EXPECT_EQ(calls[1]->request().ToString(), "b");
  EXPECT_EQ(calls[2]->request().ToString(), "a");
  EXPECT_EQ(calls[0]->options().deadline, clock_.Now() + absl::Seconds(7));
  EXPECT_THAT(calls[0]->options().metadata, ElementsAre(Pair("authorization", "Bearer key")));
}

TEST_F(LoadGeneratorTest, AsksAnotherTargetOnceWhenOneIsLeaving) {
  FakeInferTarget leaving;
  leaving.AnswerWith(Failure(absl::UnavailableError("draining")));
  target_.AnswerWith(Success());
  gateway::Forwarder both({&leaving, &target_}, clock_, timers_, retries_);
  plan_.count = 1;
  const LoadResult result = LoadGenerator(both, clock_).Run(plan_, [](double) {});
  EXPECT_EQ(result.answered, 1u);
  EXPECT_EQ(result.ErrorCount(), 0u);
  EXPECT_EQ(retries_.count, 1);
}

TEST_F(LoadGeneratorTest, ProgressGrowsToOne) {
  plan_.count = 4;
  target_.AnswerWith(Success());
  std::vector<double> shares;
  Run([&](double share) { shares.push_back(share); });
  EXPECT_THAT(shares, ElementsAre(0.25, 0.5, 0.75, 1));
}

TEST(LoadResultTest, QuantileIsTheNearestRank) {
  LoadResult result;
  EXPECT_EQ(result.Quantile(0.5), 0) << "nothing was answered";
  result.latency_ms = {1, 2, 3, 4};
  EXPECT_EQ(result.Quantile(0), 1);
  EXPECT_EQ(result.Quantile(0.5), 2);
  EXPECT_EQ(result.Quantile(0.51), 3);
  EXPECT_EQ(result.Quantile(0.99), 4);
  EXPECT_EQ(result.Quantile(1), 4);
}

}  // namespace
}  // namespace penstock::cli
