#include "router_service/metrics/outcome_metrics.h"

#include "router_service/dispatch/answer.h"
#include "router_service/pacing/window_refusal.h"
#include "tests/router_service/metrics/metrics_fixture.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kMet[] = R"(deadlines_total{pool="pool",result="met"})";
constexpr char kMissed[] = R"(deadlines_total{pool="pool",result="missed"})";

class OutcomeMetricsTest : public MetricsFixture {
 protected:
  // Whoever is asked in the place of `big`.
  void OthersFail() { Target("small:1").AnswerWith({absl::InternalError("broken"), {}, {}}); }
};

TEST_F(OutcomeMetricsTest, LatencyIsByCode) {
  Begin(kTwoExperts);
  OthersFail();
  EXPECT_EQ(AskFor(absl::Milliseconds(4), "big:1", MakeReply(1, 0.9f, 1)), absl::StatusCode::kOk);
  EXPECT_EQ(AskFor(absl::Milliseconds(9), "big:1", {absl::InternalError("broken"), {}, {}}),
            StatusCode::kInternal);
  EXPECT_DOUBLE_EQ(*Value(R"(latency_seconds_sum{code="OK",pool="pool"})"), 0.004);
  EXPECT_DOUBLE_EQ(*Value(R"(latency_seconds_sum{code="INTERNAL",pool="pool"})"), 0.009);
  EXPECT_EQ(*Value(R"(latency_seconds_count{code="OK",pool="pool"})"), 1);
  EXPECT_EQ(*Value(R"(requests_total{code="OK",pool="pool"})"), 1);
}

TEST_F(OutcomeMetricsTest, DeadlinesAreMetByAnswersInTime) {
  Begin(kTwoExperts);
  AskFor(absl::Milliseconds(4), "big:1", MakeReply(1, 0.9f, 1));
  EXPECT_THAT(Scrape(), Not(HasSubstr("deadlines_total{")));  // there was none to meet
  AskFor(absl::Milliseconds(4), "big:1", MakeReply(1, 0.9f, 1), MakeRequest(), absl::Seconds(1));
  EXPECT_EQ(*Value(kMet), 1);
  EXPECT_FALSE(Value(kMissed).has_value());
  const InferRequest budgeted = MakeRequest(1, {{"penstock_latency_budget_ms", int64_t{500}}});
  AskFor(absl::Milliseconds(4), "big:1", MakeReply(1, 0.9f, 1), budgeted);
  EXPECT_EQ(*Value(kMet), 2);
}

TEST_F(OutcomeMetricsTest, DeadlinesAreMissedByWhatIsLateFailedOrRefused) {
  Begin(kTwoExperts);
  OthersFail();
  const InferReply answer = MakeReply(1, 0.9f, 1);
  EXPECT_EQ(AskFor(absl::Seconds(2), "big:1", answer, MakeRequest(), absl::Seconds(1)),
            StatusCode::kDeadlineExceeded);
  EXPECT_EQ(*Value(kMissed), 1);
  AskFor(absl::Milliseconds(1), "big:1", {absl::InternalError("broken"), {}, {}}, MakeRequest(),
         absl::Seconds(1));
  EXPECT_EQ(*Value(kMissed), 2);
  EXPECT_EQ(AskFor({}, "big:1", answer, MakeRequest(), absl::Seconds(-1)),
            StatusCode::kDeadlineExceeded);
  EXPECT_EQ(*Value(kMissed), 3);
  // What is no request of the pool's has no deadline that the pool could meet.
  AskFor({}, "big:1", answer, MakeRequest(1, {{"penstock_class", std::string("none")}}),
         absl::Seconds(1));
  EXPECT_EQ(*Value(kMissed), 3);
  EXPECT_FALSE(Value(kMet).has_value());
}

TEST_F(OutcomeMetricsTest, RefusalsOfReadingSayWhose) {
  Begin(kTwoExperts);
  const InferReply answer = MakeReply(1, 0.9f, 1);
  AskFor({}, "big:1", answer, MakeRequest(1, {{"penstock_class", std::string("none")}}));
  EXPECT_EQ(Refusals("invalid"), 1);
  InferRequest elsewhere = MakeRequest();
  elsewhere.model_name = "made-up";
  AskFor({}, "big:1", answer, elsewhere);
  EXPECT_EQ(Refusals("unknown_pool", "other"), 1);
  Send(MakeRequest(1, {{"penstock_experts", std::string("small")}}));
  EXPECT_EQ(Refusals("rights"), 1);
  AskFor({}, "big:1", answer, MakeRequest(), absl::Seconds(-1));
  EXPECT_EQ(Refusals("deadline"), 1);
  EXPECT_THAT(Scrape(), Not(HasSubstr("made-up")));
}

TEST_F(OutcomeMetricsTest, APoolWithoutAContractIsNotReady) {
  Replica("small:1").facts = Replica("big:1").facts = absl::UnavailableError("not there");
  Begin(kTwoExperts);
  Send(MakeRequest());
  EXPECT_EQ(Refusals("not_ready"), 1);
}

TEST_F(OutcomeMetricsTest, AFullPoolRefuses) {
  Begin(absl::StrCat(kTwoExperts, "  max_in_flight: 1\n"));
  auto running = Send(MakeRequest());
  Send(MakeRequest());
  EXPECT_EQ(Refusals("max_in_flight"), 1);
  Target("big:1").calls()[0]->Reply(MakeReply(1, 0.9f, 1));
  EXPECT_THAT(running->WaitForReply().status, IsOk());
  EXPECT_EQ(Refusals("max_in_flight"), 1);
}

TEST_F(OutcomeMetricsTest, ASpentBudgetRefuses) {
  Begin(absl::StrCat(kTwoExperts,
                     "  budgets: [{resource: REQUESTS, per: HOUR, amount: 1, hard: true}]\n"));
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1));
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_EQ(Ask(MakeRequest()).status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(Refusals("budget"), 1);
}

TEST_F(OutcomeMetricsTest, LimitsOfTheRequestAreToldApart) {
  Begin(absl::StrCat("learning: OFF\n", kTwoExperts));
  Send(MakeRequest(1, {{"penstock_energy_budget_j", 0.001}}));
  EXPECT_EQ(Refusals("energy_budget"), 1);
  Send(MakeRequest(1, {{"penstock_min_quality", 0.99}}));
  EXPECT_EQ(Refusals("quality"), 1);
  Send(MakeRequest(16, {{"penstock_latency_budget_ms", int64_t{1}}}));
  EXPECT_EQ(Refusals("deadline"), 1);
}

TEST_F(OutcomeMetricsTest, ExpertsThatAreGoneOrFailRefuse) {
  Begin(kTwoExperts);
  OthersFail();
  Target("big:1").AnswerWith({absl::InternalError("broken"), {}, {}});
  Ask(MakeRequest());
  EXPECT_EQ(Refusals("expert_failed"), 1);
  Target("big:1").AnswerWith({absl::InvalidArgumentError("input x: no"), {}, {}});
  Ask(MakeRequest());
  EXPECT_EQ(Refusals("invalid"), 1);
  Target("big:1").SetHealthy(false);
  Target("small:1").SetHealthy(false);
  Ask(MakeRequest());
  EXPECT_EQ(Refusals("no_expert"), 1);
}

TEST_F(OutcomeMetricsTest, ACallerThatGoesAwayIsNoFaultOfAnybody) {
  Begin(kTwoExperts);
  auto call = Send(MakeRequest());
  call->Cancel();
  EXPECT_EQ(Refusals("cancelled"), 1);
  EXPECT_EQ(Refusals("internal"), 0);
}

TEST(CallerStatusTest, ThatNobodyCouldBeAskedIsNoFailureOfAnExpert) {
  const absl::Status none = Because(Refusal::kNoExpert, absl::UnavailableError("no replica"));
  EXPECT_EQ(RefusalOf(CallerStatus("small", none)), Refusal::kNoExpert);
  EXPECT_EQ(RefusalOf(CallerStatus("small", absl::UnavailableError("broken"))),
            Refusal::kExpertFailed);
}

TEST(WindowRefusalTest, AStoreThatIsAwayIsNoBudgetThatIsSpent) {
  FakeClock clock;
  MemoryWindowLedger ledger;
  config::v1::Budget budget;
  budget.set_resource(config::v1::Budget::REQUESTS);
  budget.set_per(config::v1::Budget::HOUR);
  budget.set_amount(1);
  const WindowBudget window(clock, ledger, "key", budget);
  EXPECT_EQ(RefusalOf(WindowRefusal(WindowAnswer::kStoreDown, "it", window)), Refusal::kStoreDown);
  for (const WindowAnswer answer :
       {WindowAnswer::kSpent, WindowAnswer::kElsewhere, WindowAnswer::kNotLeased}) {
    EXPECT_EQ(RefusalOf(WindowRefusal(answer, "it", window)), Refusal::kBudget);
  }
}

}  // namespace
}  // namespace penstock::router
