#include "router_service/cost/lateness_probe.h"

#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using absl::StatusCode;

// Experts that were slow, or are: `takes_` is how long each answer is under way.
class LatenessProbeTest : public RouterFixture {
 protected:
  static constexpr double kBudgetMs = 100;

  void SetUp() override {
    RouterFixture::SetUp();
    for (const char* address : {"small:1", "big:1"}) {
      Target(address).AnswerWith([this](const Bytes&, const CallOptions&) {
        clock_.Advance(takes_);
        return MakeReply(1, 0.9f, 0.1);
      });
    }
  }
  size_t asked() { return Target("small:1").calls().size() + Target("big:1").calls().size(); }
  static InferRequest InTime() {
    return MakeRequest(1, {{"penstock_latency_budget_ms", kBudgetMs}});
  }
  // What is learnt while everything takes a second.
  void LearnThatAllAreSlow() {
    takes_ = absl::Seconds(1);
    for (int i = 0; i < 200; ++i) {
      const char* const expert = i % 2 == 0 ? "small" : "big";
      const std::vector<OutParameter> forced = {{"penstock_experts", std::string(expert)}};
      EXPECT_THAT(Ask(MakeRequest(1, forced), ForcedRights()).status, IsOk());
    }
  }
  // How many of `count` requests in a row are refused before all others are answered: at first as
  // probes, and in the end as what is expected in time.
  int RefusedBeforeItIsWell(int count, const InferRequest& request) {
    int refused = 0, answered = 0, well = 0;
    for (int i = 0; i < count; ++i) {
      const InferReply reply = Ask(request);
      refused += reply.status.ok() ? 0 : 1;
      answered = reply.status.ok() ? answered + 1 : 0;
      well = reply.status.ok() && Text(reply, "penstock_degraded") == "(none)" ? well + 1 : 0;
    }
    EXPECT_GE(answered, count / 2) << "of the last ones";
    EXPECT_GE(well, count / 20) << "of the last ones";
    return refused;
  }

  absl::Duration takes_ = absl::Milliseconds(1);
};

TEST_F(LatenessProbeTest, ExpertsThatAreQuickAgainAreFound) {
  Build(kTwoExperts);
  LearnThatAllAreSlow();
  takes_ = absl::Milliseconds(1);
  EXPECT_THAT(Ask(InTime()).status, StatusIs(StatusCode::kFailedPrecondition));
  const int refused = RefusedBeforeItIsWell(400, InTime());
  EXPECT_GE(refused, 30);
  EXPECT_LE(refused, 150);
}

TEST_F(LatenessProbeTest, AProbeIsToldAsOneThatNobodyAnswersInTime) {
  Build(kTwoExperts);
  LearnThatAllAreSlow();
  takes_ = absl::Milliseconds(1);
  for (uint32_t i = 1; i < LatenessProbe::kFirst; ++i) {
    ASSERT_THAT(Ask(InTime()).status, StatusIs(StatusCode::kFailedPrecondition));
  }
  const InferReply probe = Ask(InTime());
  ASSERT_THAT(probe.status, IsOk());
  EXPECT_EQ(Text(probe, "penstock_degraded"), "deadline");
}

TEST_F(LatenessProbeTest, WhereAllAreSlowProbesBecomeRare) {
  Build(kTwoExperts);
  LearnThatAllAreSlow();
  const size_t before = asked();
  for (int i = 0; i < 10'000; ++i) Ask(InTime());
  // After 32, 64, ... 512 refusals, and from then on after 1,024.
  EXPECT_EQ(asked() - before, 5u + (10'000 - 992) / LatenessProbe::kMost);
}

TEST_F(LatenessProbeTest, ProbesKeepToAllOtherLimits) {
  Build(kTwoExperts);
  LearnThatAllAreSlow();
  const size_t before = asked();
  for (int i = 0; i < 200; ++i) {
    const InferReply reply = Ask(MakeRequest(
        1, {{"penstock_latency_budget_ms", kBudgetMs}, {"penstock_energy_budget_j", 0.01}}));
    ASSERT_THAT(reply.status, StatusIs(StatusCode::kFailedPrecondition));
  }
  EXPECT_EQ(asked(), before);
}

TEST_F(LatenessProbeTest, RequestsThatAreAnsweredTeachEnough) {
  Build(kTwoExperts);
  LearnThatAllAreSlow();
  for (int i = 0; i < 200; ++i) {
    if (i % 16 == 0) {
      EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
    } else {
      ASSERT_THAT(Ask(InTime()).status, StatusIs(StatusCode::kFailedPrecondition));
    }
  }
}

TEST_F(LatenessProbeTest, NobodyProbesWhatIsNotLearnt) {
  Build(absl::StrCat("learning: OFF\n", kTwoExperts));
  for (int i = 0; i < 200; ++i) {
    ASSERT_THAT(Ask(MakeRequest(1, {{"penstock_latency_budget_ms", 0.01}})).status,
                StatusIs(StatusCode::kFailedPrecondition));
  }
  EXPECT_EQ(asked(), 0u);
}

TEST_F(LatenessProbeTest, ExplanationsTakeNoProbe) {
  Build(kTwoExperts);
  LearnThatAllAreSlow();
  for (uint32_t i = 1; i < LatenessProbe::kFirst; ++i) Ask(InTime());
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK_AND_ASSIGN(
        const v1::Decision decision,
        pipeline_->Explain(EncodeInferRequest(InTime()), absl::InfiniteFuture(), {}, {}));
    EXPECT_EQ(decision.status(), "FAILED_PRECONDITION");
  }
  EXPECT_THAT(Ask(InTime()).status, IsOk());
}

TEST_F(LatenessProbeTest, PoolsByRowHaveItToo) {
  const std::string gate = dir_.File("gate.safetensors");
  ASSERT_THAT(WriteSafetensors(gate,
                               {{"weight", {2, 4}, {0, 0, 0, 0, 0, 0, 0, 0}}, {"bias", {2}, {0, 0}}},
                               {{"experts", R"(["small","big"])"}}),
              IsOk());
  Build(absl::StrCat(R"(
pools:
- name: pool
  granularity: ROW
  combiner: WEIGHTED_SUM
  features: {tensor_pooling: {input: x}}
  gate: {topk_softmax: {file: )", gate, R"(, k: 1}}
  experts:
  - {name: small, replicas: [{address: "small:1"}]}
  - {name: big, replicas: [{address: "big:1"}]}
)"));
  takes_ = absl::Seconds(1);
  for (int i = 0; i < 200; ++i) EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_THAT(Ask(InTime()).status, StatusIs(StatusCode::kFailedPrecondition));
  takes_ = absl::Milliseconds(1);
  EXPECT_LE(RefusedBeforeItIsWell(400, InTime()), 150);
}

}  // namespace
}  // namespace penstock::router
