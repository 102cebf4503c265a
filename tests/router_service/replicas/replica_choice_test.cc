#include "router_service/replicas/replica_choice.h"

#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

// Answered of late.
ReplicaView Fresh(double latency_ms, double in_flight = 0) {
  ReplicaView view;
  view.in_flight = in_flight;
  view.latency_s = view.last_latency_s = latency_ms / 1e3;
  view.rate = 1e3 / latency_ms;
  view.heard = kNow;
  return view;
}
// Was heard of last `ago`.
ReplicaView Stale(double latency_ms, absl::Duration ago) {
  ReplicaView view = Fresh(latency_ms);
  view.latency_s.reset();
  view.heard = kNow - ago;
  return view;
}

class ReplicaChoiceTest : public testing::Test {
 protected:
  size_t First(const std::vector<ReplicaView>& replicas) {
    CounterRandom random(17, sequence_++);
    const auto picked = choice_->PickFirst(0, replicas, random);
    EXPECT_THAT(picked.status(), IsOk());
    return picked.value_or(replicas.size());
  }
  // How often each of them is picked in so many times.
  std::vector<int> Count(const std::vector<ReplicaView>& replicas, int times) {
    std::vector<int> count(replicas.size(), 0);
    for (int i = 0; i < times; ++i) ++count[First(replicas)];
    return count;
  }
  void Use(ReplicaChoice::Options options) {
    choice_ = std::make_unique<ReplicaChoice>(1, options);
  }

  uint64_t sequence_ = 0;
  std::unique_ptr<ReplicaChoice> choice_ =
      std::make_unique<ReplicaChoice>(1, ReplicaChoice::Options());
};

TEST_F(ReplicaChoiceTest, TheQuickestColdOneIsPickedEveryTime) {
  EXPECT_EQ(Count({Fresh(8), Fresh(5), Fresh(6)}, 100), (std::vector<int>{0, 100, 0}));
}

TEST_F(ReplicaChoiceTest, WithoutLatenciesOfLateTwoAreDrawn) {
  const std::vector<int> count = Count({ReplicaView(), ReplicaView(), ReplicaView()}, 3000);
  // Four standard deviations: 4 sqrt(3000 * 1/3 * 2/3) = 103.
  for (const int c : count) EXPECT_NEAR(c, 1000, 103);
}

TEST_F(ReplicaChoiceTest, ALatencyThatIsTooOldIsNotUsed) {
  // It was the quickest once; whoever asks for a hedge does not believe it.
  const std::vector<ReplicaView> replicas = {Stale(1, absl::Seconds(5)), Fresh(8), Fresh(9),
                                             Fresh(7)};
  CounterRandom random(1, 1);
  const std::vector<size_t> tried = {3};
  EXPECT_EQ(choice_->PickAnother(replicas, tried, random).value(), 1u);
}

TEST_F(ReplicaChoiceTest, OneThatWasNotSlowIsHeardOfBeforeAllOthers) {
  EXPECT_EQ(First({Fresh(5), Stale(9, absl::Seconds(3)), Stale(9, absl::Seconds(4)), Fresh(6)}),
            2u);
  EXPECT_EQ(First({Fresh(5), ReplicaView(), Fresh(6)}), 1u);  // never heard of
}

TEST_F(ReplicaChoiceTest, WhileItIsAskedItIsNotAskedAgain) {
  ReplicaView asked = Stale(9, absl::Seconds(3));
  asked.asked = true;
  EXPECT_EQ(Count({Fresh(5), asked, Fresh(6)}, 100), (std::vector<int>{100, 0, 0}));
}

TEST_F(ReplicaChoiceTest, OneThatWasSlowGetsOneRequestInTwoHundred) {
  EXPECT_EQ(Count({Fresh(5), Stale(100, absl::Seconds(3)), Fresh(6)}, 2000),
            (std::vector<int>{1990, 10, 0}));
}

TEST_F(ReplicaChoiceTest, OneThatFailedGetsOneRequestInTwoHundred) {
  ReplicaView failed = Stale(5, absl::Seconds(3));
  failed.unanswered = true;
  ReplicaView never = ReplicaView();
  never.unanswered = true;
  EXPECT_EQ(Count({Fresh(5), failed, never, Fresh(6)}, 2000),
            (std::vector<int>{1990, 0, 10, 0}));  // the one that was heard of longest ago
}

TEST_F(ReplicaChoiceTest, AnUnhealthyOneIsNotProbed) {
  ReplicaView down = Stale(5, absl::Seconds(3));
  down.healthy = false;
  EXPECT_EQ(Count({Fresh(5), down, Fresh(6)}, 1000), (std::vector<int>{1000, 0, 0}));
}

TEST_F(ReplicaChoiceTest, OfTwoTheSlowOneIsProbedToo) {
  EXPECT_EQ(Count({Fresh(5), Stale(100, absl::Seconds(3))}, 1000), (std::vector<int>{995, 5}));
}

TEST_F(ReplicaChoiceTest, TheOtherRuleLooksAtRatesAndLoadAlone) {
  Use({.rule = config::v1::ReplicaChoice::POWER_OF_TWO_CHOICES});
  // (0 + 1) / 100 against (3 + 1) / 200.
  EXPECT_EQ(Count({Fresh(10, 0), Fresh(5, 3)}, 100), (std::vector<int>{100, 0}));
}

TEST_F(ReplicaChoiceTest, NobodyHealthyIsUnavailable) {
  ReplicaView down = Fresh(5);
  down.healthy = false;
  CounterRandom random(1, 1);
  EXPECT_THAT(choice_->PickFirst(0, std::vector<ReplicaView>{down}, random).status(),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ReplicaChoiceTest, TheSameSeedPicksTheSame) {
  const std::vector<ReplicaView> replicas(16);
  for (uint64_t i = 0; i < 100; ++i) {
    CounterRandom one(5, i), two(5, i);
    EXPECT_EQ(choice_->PickFirst(0, replicas, one).value(),
              choice_->PickFirst(0, replicas, two).value());
  }
}

TEST(ReplicaChoiceOptionsTest, NamesTheFieldThatIsOutOfRange) {
  config::v1::Pool pool;
  pool.set_name("pool");
  EXPECT_THAT(ReplicaChoice::ReadOptions(pool).status(), IsOk());
  pool.mutable_replica_choice()->set_hot_quantile(1.5);
  EXPECT_THAT(ReplicaChoice::ReadOptions(pool).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("pool pool: replica_choice.hot_quantile is 1.5, wanted (0, 1]")));
  pool.mutable_replica_choice()->set_hot_quantile(0.5);
  pool.mutable_replica_choice()->mutable_signal_age()->set_seconds(90);
  EXPECT_THAT(ReplicaChoice::ReadOptions(pool).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("replica_choice.signal_age is 1m30s, wanted [10ms, 60s]")));
  pool.mutable_replica_choice()->mutable_signal_age()->set_seconds(2);
  pool.mutable_replica_choice()->set_probe_share(0);
  EXPECT_THAT(ReplicaChoice::ReadOptions(pool).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("replica_choice.probe_share is 0, wanted (0, 0.1]")));
}

}  // namespace
}  // namespace penstock::router
