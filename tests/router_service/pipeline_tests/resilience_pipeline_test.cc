// Breakers, ejection and retries around scripted replicas, under a fake clock.
#include "common/notification.h"
#include "router_service/pools/guard_loop.h"
#include "tests/router_service/pipeline_tests/logged_decisions.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Replicas drawn at random, so that all of them are asked whatever they did before.
constexpr char kTwoReplicas[] = R"(
pools:
- name: pool
  replica_choice: {rule: POWER_OF_TWO_CHOICES}
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}, {address: "small:2"}]}
)";

InferReply Failed(absl::Status status, Metadata trailers = {}) {
  return {.status = std::move(status), .body = {}, .trailers = std::move(trailers)};
}

class Resilience : public LoggedDecisions {
 protected:
  void TearDown() override {
    if (loop_ != nullptr) loop_->Stop();
    LoggedDecisions::TearDown();
  }

  void BuildGuarded(const std::string& yaml) {
    Build(yaml);
    loop_ = std::make_shared<GuardLoop>(*catalogue_, clock_, timers_, /*seed=*/1);
    loop_->Start();
  }
  router::Replica& Guarded(size_t expert, size_t replica) {
    return *catalogue_->Find("pool")->experts[expert].replicas[replica];
  }
  BreakerState Breaker(size_t expert, size_t replica) {
    return Guarded(expert, replica).guard().state();
  }
  uint64_t Retries(RetryResult result) {
    return catalogue_->Find("pool")->record->resilience.retries(result);
  }
  size_t Calls(const std::string& address) { return Target(address).calls().size(); }
  // Asks until replica 0 of expert 0 has an open breaker; how many of the answers were OK.
  int AskUntilOpen(int most, int& asked) {
    int answered = 0;
    for (asked = 0; asked < most && Breaker(0, 0) == BreakerState::kClosed; ++asked) {
      answered += Ask(MakeRequest()).status.ok();
    }
    return answered;
  }

  std::shared_ptr<GuardLoop> loop_;
  Notification give_up_;
};

TEST_F(Resilience, AReplicaThatFailsIsLeftAloneUntilItsProbesAreGood) {
  BuildGuarded(kTwoReplicas);
  Target("small:1").AnswerWith(Failed(absl::UnavailableError("gone")));
  Target("small:2").AnswerWith(MakeReply(1, 0.9f, 0.1));
  int asked = 0;
  EXPECT_EQ(AskUntilOpen(100, asked), asked);  // the other one answered each
  ASSERT_EQ(Breaker(0, 0), BreakerState::kOpen);
  EXPECT_EQ(Calls("small:1"), 5u);
  for (int i = 0; i < 100; ++i) EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_EQ(Calls("small:1"), 5u);

  // Probes that fail, and no request: it stays as it is.
  Replica("small:1").probed = absl::UnavailableError("still gone");
  timers_.AdvanceAndRun(absl::Seconds(60));
  EXPECT_GT(Replica("small:1").probes, 40);
  EXPECT_NE(Breaker(0, 0), BreakerState::kClosed);
  // Good ones close it, still without a request.
  Replica("small:1").probed = absl::OkStatus();
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_EQ(Breaker(0, 0), BreakerState::kClosed);
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  for (int i = 0; i < 100; ++i) EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_GT(Calls("small:1"), 20u);
}

TEST_F(Resilience, AReplicaThatCannotBeReachedIsNotProbedAndIsBackSoonAfter) {
  BuildGuarded(kTwoReplicas);
  Target("small:1").AnswerWith(Failed(absl::UnavailableError("gone")));
  Target("small:2").AnswerWith(MakeReply(1, 0.9f, 0.1));
  int asked = 0;
  AskUntilOpen(100, asked);
  Target("small:1").SetHealthy(false);
  timers_.AdvanceAndRun(absl::Minutes(10));
  EXPECT_EQ(Replica("small:1").probes, 0);
  Target("small:1").SetHealthy(true);
  timers_.AdvanceAndRun(absl::Milliseconds(200));
  EXPECT_EQ(Breaker(0, 0), BreakerState::kClosed);
}

TEST_F(Resilience, ClientsErrorsLeaveEveryBreakerClosed) {
  BuildGuarded(kTwoReplicas);
  for (const StatusCode code :
       {StatusCode::kInvalidArgument, StatusCode::kNotFound, StatusCode::kAlreadyExists,
        StatusCode::kPermissionDenied, StatusCode::kUnauthenticated,
        StatusCode::kFailedPrecondition, StatusCode::kOutOfRange, StatusCode::kUnimplemented,
        StatusCode::kAborted, StatusCode::kResourceExhausted}) {
    for (const char* replica : {"small:1", "small:2"}) {
      Target(replica).AnswerWith(Failed(absl::Status(code, "told")));
    }
    for (int i = 0; i < 40; ++i) EXPECT_FALSE(Ask(MakeRequest()).status.ok());
    EXPECT_EQ(Breaker(0, 0), BreakerState::kClosed) << absl::StatusCodeToString(code);
    EXPECT_EQ(Breaker(0, 1), BreakerState::kClosed) << absl::StatusCodeToString(code);
  }
  // No request was asked twice.
  EXPECT_EQ(Calls("small:1") + Calls("small:2"), 400u);
}

TEST_F(Resilience, ABrokenServersErrorsOpenIt) {
  for (const StatusCode code : {StatusCode::kInternal, StatusCode::kUnknown, StatusCode::kDataLoss,
                                StatusCode::kUnavailable, StatusCode::kCancelled}) {
    BuildGuarded(kTwoReplicas);
    Target("small:1").AnswerWith(Failed(absl::Status(code, "told")));
    Target("small:2").AnswerWith(MakeReply(1, 0.9f, 0.1));
    int asked = 0;
    AskUntilOpen(200, asked);
    EXPECT_EQ(Breaker(0, 0), BreakerState::kOpen) << absl::StatusCodeToString(code);
    EXPECT_EQ(Breaker(0, 1), BreakerState::kClosed) << absl::StatusCodeToString(code);
    loop_->Stop();
    catalogue_->Stop();
    config_.Clear();
  }
}

TEST_F(Resilience, AnswersThatDoNotFitTheContractOpenIt) {
  BuildGuarded(kTwoReplicas);
  Target("small:1").AnswerWith(MakeReply(3, 0.9f, 0.1));  // one row was asked for
  Target("small:2").AnswerWith(MakeReply(1, 0.9f, 0.1));
  int asked = 0;
  AskUntilOpen(200, asked);
  EXPECT_EQ(Breaker(0, 0), BreakerState::kOpen);
}

TEST_F(Resilience, SilenceUntilTheDeadlineOpensIt) {
  BuildGuarded(R"(
pools:
- name: pool
  experts: [{name: small, replicas: [{address: "small:1"}]}]
)");
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(Breaker(0, 0), BreakerState::kClosed);
    auto call = Send(MakeRequest(), absl::Seconds(1));
    timers_.AdvanceAndRun(absl::Seconds(1));
    EXPECT_THAT(call->WaitForReply().status, StatusIs(StatusCode::kDeadlineExceeded));
  }
  EXPECT_EQ(Breaker(0, 0), BreakerState::kOpen);
}

TEST_F(Resilience, LostAttemptsOpenItThoughOthersAnswerForIt) {
  BuildGuarded(kTwoReplicas);
  Target("small:2").AnswerWith(MakeReply(1, 0.9f, 0.1));  // small:1 is silent
  for (int i = 0; i < 200 && Breaker(0, 0) == BreakerState::kClosed; ++i) {
    auto call = Send(MakeRequest());
    timers_.AdvanceAndRun(absl::Milliseconds(300));
    EXPECT_THAT(call->WaitForReply().status, IsOk());
  }
  EXPECT_EQ(Breaker(0, 0), BreakerState::kOpen);
  EXPECT_EQ(Calls("small:1"), 5u);
}

TEST_F(Resilience, ASilentReplicaLeavesAnotherHalfOfAShortDeadline) {
  BuildGuarded(kTwoReplicas);
  Target("small:2").AnswerWith(MakeReply(1, 0.9f, 0.1));  // small:1 is silent
  // Less than the four quantiles after which an attempt is lost otherwise.
  constexpr absl::Duration kDeadline = absl::Milliseconds(150);
  for (int i = 0; i < 200 && Breaker(0, 0) == BreakerState::kClosed; ++i) {
    auto call = Send(MakeRequest(), kDeadline);
    timers_.AdvanceAndRun(kDeadline / 2);
    EXPECT_THAT(call->WaitForReply().status, IsOk());
  }
  EXPECT_GE(Calls("small:1"), 5u);
}

TEST_F(Resilience, AReplicaThatComesBackMeanwhileIsAskedForWhatIsLost) {
  BuildGuarded(kTwoReplicas);
  Target("small:2").SetHealthy(false);
  auto call = Send(MakeRequest(), absl::Seconds(2));  // small:1 is silent
  timers_.AdvanceAndRun(absl::Milliseconds(500));
  EXPECT_EQ(Calls("small:1"), 1u);
  EXPECT_EQ(Calls("small:2"), 0u);
  EXPECT_EQ(Retries(RetryResult::kNoReplica), 1u) << "told once";
  Target("small:2").AnswerWith(MakeReply(1, 0.9f, 0.1));
  Target("small:2").SetHealthy(true);
  timers_.AdvanceAndRun(absl::Milliseconds(200));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

TEST_F(Resilience, WithNobodyLeftRequestsAreUnavailableAndAreToldWhy) {
  BuildGuarded(kTwoExperts);
  for (const char* replica : {"small:1", "big:1"}) {
    Target(replica).AnswerWith(Failed(absl::UnavailableError("gone")));
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(Ask(MakeRequest()).status, StatusIs(StatusCode::kUnavailable));
  }
  EXPECT_EQ(Breaker(0, 0), BreakerState::kOpen);
  EXPECT_EQ(Breaker(1, 0), BreakerState::kOpen);
  const size_t calls = Calls("small:1") + Calls("big:1");
  Target("small:1").SetHealthy(false);
  const InferReply reply = Ask(MakeRequest());
  EXPECT_THAT(reply.status, StatusIs(StatusCode::kUnavailable,
                                     AllOf(HasSubstr("pool pool"), HasSubstr("small (unhealthy)"),
                                           HasSubstr("big (breaker open)"))));
  EXPECT_EQ(Last().candidates(0).excluded(), "unhealthy");
  EXPECT_EQ(Last().candidates(1).excluded(), "breaker open");
  EXPECT_EQ(Calls("small:1") + Calls("big:1"), calls);

  // They return: nobody has to be asked for that to be found out.
  Target("small:1").SetHealthy(true);
  timers_.AdvanceAndRun(absl::Seconds(2));
  for (const char* replica : {"small:1", "big:1"}) {
    Target(replica).AnswerWith(MakeReply(1, 0.9f, 0.1));
  }
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
}

TEST_F(Resilience, ADeadReplicaIsNotAskedTwiceUnderAnotherExpertsName) {
  BuildGuarded(R"(
pools:
- name: pool
  experts:
  - {name: big, quality: 0.9, replicas: [{address: "big:1"}]}
  - {name: alias, quality: 0.8, replicas: [{address: "big:1"}]}
  - {name: small, quality: 0.1, replicas: [{address: "small:1"}]}
)");
  InferReply gone = Failed(absl::UnavailableError("gone"));
  gone.connection_lost = true;
  Target("big:1").AnswerWith(gone);
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  const InferReply reply = Ask(MakeRequest());
  EXPECT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_EQ(Calls("big:1"), 1u);
}

TEST_F(Resilience, AFailedModelDoesNotKeepItsNeighbourAtTheSameEndpointAway) {
  BuildGuarded(R"(
pools:
- name: pool
  experts:
  - {name: big, quality: 0.9, replicas: [{address: "big:1"}]}
  - {name: alias, quality: 0.8, replicas: [{address: "big:1"}]}
)");
  Target("big:1").AnswerWith([](const Bytes& request, const CallOptions&) {
    const auto name = ScanModelName(request);
    if (name.ok() && *name == "big") return Failed(absl::InternalError("out of memory"));
    return MakeReply(1, 0.9f, 0.1);
  });
  EXPECT_EQ(Text(Ask(MakeRequest()), "penstock_experts"), "alias");
}

TEST_F(Resilience, AnEndpointThatWasOnlySlowIsNotDead) {
  BuildGuarded(R"(
pools:
- name: pool
  experts:
  - {name: big, quality: 0.9, replicas: [{address: "big:1"}]}
  - {name: alias, quality: 0.8, replicas: [{address: "big:1"}]}
)");
  auto call = Send(MakeRequest());
  timers_.AdvanceAndRun(absl::Seconds(1));  // taken to be lost
  Target("big:1").WaitForCall(0)->Reply(absl::InternalError("out of memory"));
  Target("big:1").WaitForCall(1)->Reply(MakeReply(1, 0.9f, 0.1));
  EXPECT_EQ(Text(call->WaitForReply(), "penstock_experts"), "alias");
}

TEST_F(Resilience, RetriesKeepToTheirBudget) {
  BuildGuarded(R"(
pools:
- name: pool
  resilience: {breaker: {off: true}, retries: {share: 0.125, min_per_second: 0.2}}
  replica_choice: {rule: POWER_OF_TWO_CHOICES}
  experts:
  - {name: small, replicas: [{address: "small:1"}, {address: "small:2"}]}
)");
  for (const char* replica : {"small:1", "small:2"}) {
    Target(replica).AnswerWith(Failed(absl::UnavailableError("overrun")));
  }
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(Ask(MakeRequest()).status.ok());
  // Two to begin with, and an eighth of a hundred.
  EXPECT_EQ(Calls("small:1") + Calls("small:2"), 114u);
  EXPECT_EQ(Retries(RetryResult::kFailed), 14u);
  EXPECT_EQ(Retries(RetryResult::kNoBudget), 86u);
}

TEST_F(Resilience, OtherExpertsAreAskedWithinTheSameBudget) {
  BuildGuarded(R"(
pools:
- name: pool
  resilience: {breaker: {off: true}, retries: {share: 0, min_per_second: 0.3}}
  experts:
  - {name: big, quality: 0.9, replicas: [{address: "big:1"}]}
  - {name: small, quality: 0.5, replicas: [{address: "small:1"}]}
)");
  Target("big:1").AnswerWith(Failed(absl::InternalError("broken")));
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  int answered = 0;
  for (int i = 0; i < 10; ++i) answered += Ask(MakeRequest()).status.ok();
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(Retries(RetryResult::kAnswered), 3u);
  EXPECT_EQ(Retries(RetryResult::kNoBudget), 7u);
}

TEST_F(Resilience, NoTokenGoesOnAnExpertThatBudgetsDoNotCover) {
  // `big` takes 1 J of them, and `small` 0.1 J, of which half is left.
  BuildGuarded(R"(
pools:
- name: pool
  resilience: {retries: {share: 0, min_per_second: 0.3}}
  budgets: [{resource: JOULES, amount: 1.05, per: REQUEST}]
  experts:
  - {name: big, quality: 0.9, replicas: [{address: "big:1"}]}
  - {name: small, quality: 0.5, replicas: [{address: "small:1"}]}
)");
  Target("big:1").AnswerWith(Failed(absl::InternalError("broken")));
  EXPECT_FALSE(Ask(MakeRequest()).status.ok());
  EXPECT_EQ(Calls("big:1"), 1u);
  EXPECT_EQ(Calls("small:1"), 0u);
  EXPECT_EQ(Last().candidates(1).excluded(), "");
  EXPECT_DOUBLE_EQ(catalogue_->Find("pool")->record->retries->tokens(clock_.Now()), 3);
}

TEST_F(Resilience, AReplicaThatAsksNotToBeAskedAgainIsObeyed) {
  BuildGuarded(absl::StrCat(kTwoReplicas,
                            "  - {name: big, quality: 0.1, replicas: [{address: \"big:1\"}]}\n"));
  for (const char* replica : {"small:1", "small:2"}) {
    Target(replica).AnswerWith(
        Failed(absl::UnavailableError("leave me"), {{"grpc-retry-pushback-ms", "-1"}}));
  }
  EXPECT_THAT(Ask(MakeRequest()).status, StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(Calls("small:1") + Calls("small:2"), 1u);
  EXPECT_THAT(Target("big:1").calls(), IsEmpty());
  EXPECT_EQ(Retries(RetryResult::kPushedBack), 1u);
}

TEST_F(Resilience, ThePauseThatAReplicaAsksForIsKept) {
  BuildGuarded(kTwoReplicas);
  const InferReply pause =
      Failed(absl::UnavailableError("busy"), {{"grpc-retry-pushback-ms", "40"}});
  auto call = Send(MakeRequest());
  const bool one = Calls("small:1") == 1;
  FakeInferTarget& first = Target(one ? "small:1" : "small:2");
  FakeInferTarget& other = Target(one ? "small:2" : "small:1");
  first.WaitForCall(0)->Reply(pause);
  timers_.AdvanceAndRun(absl::Milliseconds(39));
  EXPECT_THAT(other.calls(), IsEmpty());
  timers_.AdvanceAndRun(absl::Milliseconds(1));
  other.WaitForCall(0)->Reply(MakeReply(1, 0.9f, 0.1));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

TEST_F(Resilience, APauseBeyondTheDeadlineIsNotWaitedFor) {
  BuildGuarded(kTwoReplicas);
  auto call = Send(MakeRequest(), absl::Milliseconds(30));
  const bool one = Calls("small:1") == 1;
  Target(one ? "small:1" : "small:2")
      .WaitForCall(0)
      ->Reply(Failed(absl::UnavailableError("busy"), {{"grpc-retry-pushback-ms", "40"}}));
  EXPECT_THAT(call->WaitForReply().status, StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(Calls("small:1") + Calls("small:2"), 1u);
  EXPECT_EQ(Retries(RetryResult::kNoTime), 1u);
}

TEST_F(Resilience, AClientThatLeavesDuringThePauseEndsIt) {
  BuildGuarded(kTwoReplicas);
  auto call = Send(MakeRequest());
  const bool one = Calls("small:1") == 1;
  Target(one ? "small:1" : "small:2")
      .WaitForCall(0)
      ->Reply(Failed(absl::UnavailableError("busy"), {{"grpc-retry-pushback-ms", "40"}}));
  call->Cancel();
  EXPECT_THAT(call->WaitForReply().status, StatusIs(StatusCode::kCancelled));
  timers_.AdvanceAndRun(absl::Seconds(1));
  EXPECT_EQ(Calls("small:1") + Calls("small:2"), 1u);
}

// Three replicas, one of which fails a third of its requests: too few for its breaker.
class Ejection : public Resilience {
 protected:
  void SetUp() override {
    Resilience::SetUp();
    Replica("small:3").facts = ModelFacts(0.001, 0.1);
    BuildGuarded(R"(
pools:
- name: pool
  replica_choice: {rule: POWER_OF_TWO_CHOICES}
  experts:
  - {name: small, replicas: [{address: "small:1"}, {address: "small:2"}, {address: "small:3"}]}
)");
    for (const char* replica : {"small:2", "small:3"}) {
      Target(replica).AnswerWith(MakeReply(1, 0.9f, 0.1));
    }
    Target("small:1").AnswerWith([this](const Bytes&, const CallOptions&) {
      return ++asked_ % 3 == 0 ? Failed(absl::InternalError("broken")) : MakeReply(1, 0.9f, 0.1);
    });
  }
  void EjectTheFirst() {
    for (int i = 0; i < 200; ++i) Ask(MakeRequest());
    timers_.AdvanceAndRun(absl::Seconds(1));
    ASSERT_EQ(Guarded(0, 0).guard().ejected(), EjectionReason::kSuccessRate);
    ASSERT_EQ(Breaker(0, 0), BreakerState::kClosed);
  }

  int asked_ = 0;
};

TEST_F(Ejection, AnOutlierIsAskedNoMoreForATime) {
  EjectTheFirst();
  const size_t calls = Calls("small:1");
  for (int i = 0; i < 100; ++i) EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_EQ(Calls("small:1"), calls);
  EXPECT_EQ(catalogue_->Find("pool")->record->resilience.ejections(0, EjectionReason::kSuccessRate),
            1u);
  timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_EQ(Guarded(0, 0).guard().ejected(), EjectionReason::kNone);
  for (int i = 0; i < 100; ++i) Ask(MakeRequest());
  EXPECT_GT(Calls("small:1"), calls);
}

TEST_F(Ejection, AnOutlierIsAskedWhereNobodyElseIsLeft) {
  EjectTheFirst();
  Target("small:2").SetHealthy(false);
  Target("small:3").SetHealthy(false);
  const size_t calls = Calls("small:1");
  for (int i = 0; i < 10; ++i) Ask(MakeRequest());
  EXPECT_EQ(Calls("small:1"), calls + 10);
}

TEST_F(Ejection, ARetryGoesToAnOutlierWhereAllOthersWereTried) {
  EjectTheFirst();
  Target("small:3").SetHealthy(false);
  Target("small:2").AnswerWith(Failed(absl::UnavailableError("gone")));
  const size_t calls = Calls("small:1");
  Ask(MakeRequest());
  EXPECT_EQ(Calls("small:1"), calls + 1);
}

TEST_F(Resilience, DecisionsAroundOpenBreakersAreMadeAgainFromTheLog) {
  BuildGuarded(absl::StrCat(kTwoExperts, LogYaml()));
  CounterRandom random(5, 1);
  size_t without = 0;
  for (int i = 0; i < 400; ++i) {
    const bool broken = i / 50 % 2 == 0;
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("big:1").AnswerWith(broken ? Failed(absl::InternalError("broken"))
                                      : MakeReply(1, 0.9f, 1.0));
    timers_.AdvanceAndRun(absl::Milliseconds(static_cast<double>(random.Below(400))));
    EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
    without += Last().candidates(1).excluded() == "breaker open";
  }
  EXPECT_GT(without, 50u);
  EXPECT_LT(without, 350u);
  const DecisionReplayReport report = Replay(Lines());
  EXPECT_EQ(report.decisions, 400u);
  EXPECT_EQ(report.reproduced, 400u) << First(report);
}

TEST_F(Resilience, AnotherConfigurationReachesTheReplicasThatStay) {
  BuildGuarded(kTwoReplicas);
  Target("small:1").AnswerWith(Failed(absl::UnavailableError("gone")));
  Target("small:2").AnswerWith(MakeReply(1, 0.9f, 0.1));
  int asked = 0;
  AskUntilOpen(100, asked);
  ASSERT_EQ(Breaker(0, 0), BreakerState::kOpen);
  const router::Replica* const before = &Guarded(0, 0);
  config::v1::Router next;
  ASSERT_THAT(ReadYaml(absl::StrCat(kTwoReplicas, "  resilience: {breaker: {off: true}}\n"), next),
              IsOk());
  auto staged = catalogue_->Stage(next, absl::ZeroDuration(), give_up_);
  ASSERT_THAT(staged.status(), IsOk());
  catalogue_->Commit(*std::move(staged));
  ASSERT_EQ(&Guarded(0, 0), before);
  timers_.AdvanceAndRun(GuardLoop::kTick);
  EXPECT_EQ(Breaker(0, 0), BreakerState::kClosed);
  EXPECT_FALSE(Guarded(0, 0).guard().has_breaker());
}

TEST_F(Resilience, ABadSettingIsRefusedByName) {
  ASSERT_THAT(
      ReadYaml(absl::StrCat(kTwoReplicas, "  resilience: {breaker: {probes: 0}}\n"), config_),
      IsOk());
  EXPECT_THAT(ValidatePool(config_.pools(0), false),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("pool pool: resilience.breaker.probes is 0, wanted [1, 100]")));
}

}  // namespace
}  // namespace penstock::router
