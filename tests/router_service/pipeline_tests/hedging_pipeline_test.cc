#include "router_service/pools/guard_loop.h"
#include "tests/router_service/pipeline_tests/logged_decisions.h"

namespace penstock::router {
namespace {

using absl::StatusCode;

constexpr char kReplicas[] = R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}, {address: "small:2"}]}
)";
// Known after two attempts; one for each of them.
constexpr char kEager[] = "  hedging: {quantile: 0.5, extra_dispatches: 1}\n";
constexpr absl::Duration kUsual = absl::Milliseconds(2);

class HedgingPipeline : public LoggedDecisions {
 protected:
  // Three requests that take as long as is usual.
  void WarmUp() {
    for (int i = 0; i < 3; ++i) {
      const auto call = Send(MakeRequest());
      timers_.AdvanceAndRun(kUsual);
      Open().Reply(MakeReply(1, 0.9f, 0.1));
      ASSERT_THAT(call->WaitForReply().status, IsOk());
    }
  }
  size_t Calls() { return Target("small:1").calls().size() + Target("small:2").calls().size(); }
  // The one call that is open; and the replica that has none.
  FakeOutgoingCall& Open() { return *Target(OpenAt()).calls().back(); }
  std::string OpenAt() {
    const auto is_open = [&](const std::string& address) {
      const auto calls = Target(address).calls();
      return !calls.empty() && !calls.back()->finished();
    };
    EXPECT_NE(is_open("small:1"), is_open("small:2"));
    return is_open("small:1") ? "small:1" : "small:2";
  }
  FakeInferTarget& Other(const std::string& address) {
    return Target(address == "small:1" ? "small:2" : "small:1");
  }
};

TEST_F(HedgingPipeline, ASlowAttemptIsMadeElsewhereTooAndTheLoserIsCancelledAndCharged) {
  Build(absl::StrCat(kReplicas, kEager));
  WarmUp();
  const auto call = Send(MakeRequest());
  const std::string first = OpenAt();
  const size_t before = Other(first).calls().size();
  timers_.AdvanceAndRun(kUsual - absl::Microseconds(1));
  EXPECT_EQ(Other(first).calls().size(), before);
  timers_.AdvanceAndRun(absl::Microseconds(2));
  const auto second = Other(first).WaitForCall(before);
  second->Reply(MakeReply(1, 0.9f, 0.2));
  const InferReply reply = call->WaitForReply();
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_TRUE(Target(first).calls().back()->cancelled());
  EXPECT_DOUBLE_EQ(Number(reply, "penstock_energy_j"), 0.1 + 0.2);
  const v1::Decision decision = Last();
  ASSERT_EQ(decision.runs_size(), 2);
  EXPECT_EQ(decision.runs(0).reason(), "chosen");
  EXPECT_EQ(decision.runs(0).status(), "CANCELLED");
  EXPECT_EQ(decision.runs(1).reason(), "hedge");
  EXPECT_EQ(decision.runs(1).status(), "OK");
  EXPECT_NE(decision.runs(0).replica(), decision.runs(1).replica());
}

TEST_F(HedgingPipeline, TheFirstAttemptMayStillWin) {
  Build(absl::StrCat(kReplicas, kEager));
  WarmUp();
  const auto call = Send(MakeRequest());
  const std::string first = OpenAt();
  timers_.AdvanceAndRun(kUsual + absl::Microseconds(1));
  const auto second = Other(first).calls().back();
  ASSERT_FALSE(second->finished());
  Target(first).calls().back()->Reply(MakeReply(1, 0.9f, 0.15));
  ASSERT_THAT(call->WaitForReply().status, IsOk());
  EXPECT_TRUE(second->cancelled());
  EXPECT_DOUBLE_EQ(Last().energy_j(), 0.15 + 0.1);
}

TEST_F(HedgingPipeline, IsOffUnlessAskedFor) {
  Build(kReplicas);
  WarmUp();
  const auto call = Send(MakeRequest());
  timers_.AdvanceAndRun(kUsual + absl::Microseconds(1));
  EXPECT_EQ(Calls(), 4u);
  Open().Reply(MakeReply(1, 0.9f, 0.1));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

TEST_F(HedgingPipeline, WithinItsShareOnlyButWhatIsLostIsStillAskedElsewhere) {
  Build(absl::StrCat(kReplicas, "  hedging: {quantile: 0.5, extra_dispatches: 0.05}\n"));
  WarmUp();
  const auto call = Send(MakeRequest());
  const std::string first = OpenAt();
  timers_.AdvanceAndRun(kUsual + absl::Microseconds(1));
  EXPECT_EQ(Calls(), 4u);  // four first attempts have earned a fifth of one
  const size_t before = Other(first).calls().size();
  timers_.AdvanceAndRun(absl::Seconds(1));  // SilenceLimit
  Other(first).WaitForCall(before)->Reply(MakeReply(1, 0.9f, 0.1));
  ASSERT_THAT(call->WaitForReply().status, IsOk());
  EXPECT_EQ(Last().runs(1).reason(), "retry");
  EXPECT_EQ(observer_.hedges_refused, 1u);
}

TEST_F(HedgingPipeline, AFirstAttemptThatIsLostBesideAHedgeIsItsReplicasFailure) {
  Build(absl::StrCat(kReplicas, kEager, "  resilience: {breaker: {consecutive_failures: 1}}\n"));
  const auto loop = std::make_shared<GuardLoop>(*catalogue_, clock_, timers_, /*seed=*/1);
  loop->Start();
  WarmUp();
  const auto call = Send(MakeRequest());
  const std::string first = OpenAt();
  const auto state_of = [&](const std::string& address) {
    const auto pool = catalogue_->Find("pool");
    return pool->experts[0].replicas[address == "small:1" ? 0 : 1]->guard().state();
  };
  timers_.AdvanceAndRun(kUsual + absl::Microseconds(1));
  EXPECT_EQ(Calls(), 5u);
  timers_.AdvanceAndRun(absl::Seconds(1));  // SilenceLimit
  EXPECT_EQ(Calls(), 5u);
  EXPECT_EQ(state_of(first), BreakerState::kClosed);  // it may still answer
  Other(first).calls().back()->Reply(MakeReply(1, 0.9f, 0.1));
  ASSERT_THAT(call->WaitForReply().status, IsOk());
  EXPECT_EQ(Last().runs(1).reason(), "hedge");
  EXPECT_EQ(state_of("small:1") == BreakerState::kOpen, first == "small:1");
  EXPECT_EQ(state_of("small:2") == BreakerState::kOpen, first == "small:2");
  loop->Stop();
}

TEST_F(HedgingPipeline, NeverAtTheSameReplica) {
  Build(absl::StrCat(R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}]}
)",
                     kEager));
  WarmUp();
  const auto call = Send(MakeRequest());
  timers_.AdvanceAndRun(kUsual + absl::Microseconds(1));
  EXPECT_EQ(Calls(), 4u);
  Open().Reply(MakeReply(1, 0.9f, 0.1));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

TEST_F(HedgingPipeline, NotBeyondTheRequestsJoules) {
  Build(absl::StrCat(kReplicas, kEager));
  WarmUp();
  const auto call = Send(MakeRequest(1, {{"penstock_energy_budget_j", 0.15}}));
  timers_.AdvanceAndRun(kUsual + absl::Microseconds(1));
  EXPECT_EQ(Calls(), 4u);
  Open().Reply(MakeReply(1, 0.9f, 0.1));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

TEST_F(HedgingPipeline, NotBeyondWhatBudgetsLeave) {
  // Each request takes what it may on the mean: nothing is left beside what is held.
  Build(absl::StrCat(kReplicas, kEager,
                     "  budgets: [{resource: JOULES, amount: 0.1, per: REQUEST}]\n"));
  WarmUp();
  const auto call = Send(MakeRequest());
  timers_.AdvanceAndRun(kUsual + absl::Microseconds(1));
  EXPECT_EQ(Calls(), 4u);
  Open().Reply(MakeReply(1, 0.9f, 0.1));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

TEST_F(HedgingPipeline, WithinWhatBudgetsLeave) {
  Build(absl::StrCat(kReplicas, kEager,
                     "  budgets: [{resource: JOULES, amount: 1, per: REQUEST}]\n"));
  WarmUp();
  const auto call = Send(MakeRequest());
  timers_.AdvanceAndRun(kUsual + absl::Microseconds(1));
  EXPECT_EQ(Calls(), 5u);
  Target("small:1").calls().back()->Reply(MakeReply(1, 0.9f, 0.1));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

// A hedge runs the request again: it takes dollars and seconds again, and a spent window of requests
// leaves nothing of anything.
struct OtherBudget {
  const char* name;
  const char* tight;  // covers the request, and no second run beside it
  const char* ample;
};

class HedgingWithin : public HedgingPipeline, public ::testing::WithParamInterface<OtherBudget> {
 protected:
  // Calls for a request that is slow.
  size_t CallsOfASlowRequest(const std::string& budget) {
    Build(absl::StrCat(R"(
pools:
- name: pool
  experts:
  - name: small
    quality: 0.8
    dollars: {per_request: 0.01}
    replicas: [{address: "small:1"}, {address: "small:2"}]
)",
                       kEager, "  budgets: [", budget, "]\n"));
    WarmUp();
    const size_t before = Calls();
    const auto call = Send(MakeRequest());
    timers_.AdvanceAndRun(kUsual + absl::Microseconds(1));
    const size_t made = Calls() - before;
    for (const char* address : {"small:1", "small:2"}) {
      const auto calls = Target(address).calls();
      if (!calls.empty()) calls.back()->Reply(MakeReply(1, 0.9f, 0.1));
    }
    EXPECT_THAT(call->WaitForReply().status, IsOk());
    return made;
  }
};

TEST_P(HedgingWithin, NotBeyondWhatIsLeft) {
  EXPECT_EQ(CallsOfASlowRequest(GetParam().tight), 1u);
}

TEST_P(HedgingWithin, WhereItIsLeft) { EXPECT_EQ(CallsOfASlowRequest(GetParam().ample), 2u); }

INSTANTIATE_TEST_SUITE_P(
    Budgets, HedgingWithin,
    ::testing::Values(
        OtherBudget{"Dollars", "{resource: DOLLARS, amount: 0.01, per: REQUEST}",
                    "{resource: DOLLARS, amount: 0.1, per: REQUEST}"},
        OtherBudget{"AcceleratorSeconds",
                    "{resource: ACCELERATOR_SECONDS, amount: 0.001, per: REQUEST}",
                    "{resource: ACCELERATOR_SECONDS, amount: 1, per: REQUEST}"},
        OtherBudget{"Requests", "{resource: REQUESTS, amount: 3, per: HOUR}",
                    "{resource: REQUESTS, amount: 100, per: HOUR}"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(HedgingPipeline, NotWithoutTimeForIt) {
  Build(absl::StrCat(kReplicas, kEager));
  WarmUp();
  const auto call = Send(MakeRequest(), kUsual + absl::Milliseconds(1));
  timers_.AdvanceAndRun(kUsual + absl::Microseconds(1));
  EXPECT_EQ(Calls(), 4u);
  Open().Reply(MakeReply(1, 0.9f, 0.1));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

TEST_F(HedgingPipeline, HedgedDecisionsAreMadeAgainFromTheLog) {
  Build(absl::StrCat(kReplicas, kEager,
                     "  budgets: [{resource: JOULES, amount: 1, per: REQUEST}]\n", LogYaml()));
  WarmUp();
  for (int i = 0; i < 20; ++i) {
    const auto call = Send(MakeRequest());
    const std::string first = OpenAt();
    timers_.AdvanceAndRun(i % 2 == 0 ? kUsual / 2 : kUsual + absl::Microseconds(1));
    FakeInferTarget& answering = i % 4 == 3 ? Other(first) : Target(first);
    answering.calls().back()->Reply(MakeReply(1, 0.9f, 0.1));
    ASSERT_THAT(call->WaitForReply().status, IsOk());
  }
  const std::vector<std::string> lines = Lines();
  const DecisionReplayReport report = Replay(lines);
  EXPECT_EQ(report.decisions, 23u);
  EXPECT_EQ(report.reproduced, 23u) << First(report);
  EXPECT_THAT(lines, ::testing::Contains(::testing::HasSubstr("\"reason\":\"hedge\"")));
}

TEST_F(HedgingPipeline, TheReplicaThatSaysItHasLessToDoIsAsked) {
  Build(kReplicas);
  // Both are heard of, and as quick as each other.
  WarmUp();
  WarmUp();
  ASSERT_FALSE(Target("small:1").calls().empty());
  ASSERT_FALSE(Target("small:2").calls().empty());
  v1::Load busy;
  busy.set_in_flight(40);
  for (const std::string address : {"small:1", "small:2"}) {
    ASSERT_EQ(Replica(address).load_sinks.size(), 1u);
    clock_.Advance(absl::Milliseconds(1));
    v1::Load idle;
    Replica(address).load_sinks[0](busy);
    Replica(address == "small:1" ? "small:2" : "small:1").load_sinks[0](idle);
    const auto call = Send(MakeRequest());
    EXPECT_NE(OpenAt(), address);
    timers_.AdvanceAndRun(kUsual);
    Open().Reply(MakeReply(1, 0.9f, 0.1));
    EXPECT_THAT(call->WaitForReply().status, IsOk());
  }
}

TEST_F(HedgingPipeline, APoolSaysWhichFieldIsWrong) {
  config::v1::Router config;
  ASSERT_THAT(ReadYaml(absl::StrCat(kReplicas, "  hedging: {quantile: 0.2}\n"), config), IsOk());
  EXPECT_THAT(PoolCatalogue::Create(config, false, timers_, clock_, connector_).status(),
              StatusIs(StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("pool pool: hedging.quantile is 0.2")));
}

}  // namespace
}  // namespace penstock::router
