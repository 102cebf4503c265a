#include "router_service/metrics/quality_metrics.h"

#include "common/notification.h"
#include "tests/router_service/metrics/metrics_fixture.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kRegret[] = R"(regret{pool="pool"})";

// `small` is right with 0.8 and takes 0.1 J, `big` with 0.95 and 1 J.
class QualityMetricsTest : public MetricsFixture {
 protected:
  void SetUp() override {
    MetricsFixture::SetUp();
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1));
  }
  void Begin(const std::string& yaml) {
    MetricsFixture::Begin(yaml);
    NextWindow();
  }
  void NextWindow() {
    clock_.Advance(QualityMetrics::kWindow);
    metrics_->Swept(catalogue_->All(), clock_.Now());
  }
  double Regret() const { return Value(kRegret).value_or(-1); }
};

TEST_F(QualityMetricsTest, EstimatesAreOfEveryExpertAndOfTheLastWindow) {
  Begin(kTwoExperts);
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  metrics_->Swept(catalogue_->All(), clock_.Now());  // the window is open yet
  EXPECT_FALSE(Value(R"(quality_estimate{expert="big",pool="pool"})").has_value());
  NextWindow();
  EXPECT_NEAR(*Value(R"(quality_estimate{expert="big",pool="pool"})"), 0.95, 1e-6);
  EXPECT_NEAR(*Value(R"(quality_estimate{expert="small",pool="pool"})"), 0.8, 1e-6);
  EXPECT_EQ(Regret(), 0);  // nothing kept the best from being chosen
  NextWindow();
  EXPECT_FALSE(Value(R"(quality_estimate{expert="big",pool="pool"})").has_value());
  EXPECT_FALSE(Value(kRegret).has_value());
}

TEST_F(QualityMetricsTest, WhatABudgetDoesNotCoverIsRegretted) {
  Begin(absl::StrCat(kTwoExperts,
                     "  budgets: [{resource: JOULES, per: HOUR, amount: 1.5, hard: true}]\n"));
  for (int i = 0; i < 4; ++i) EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  const size_t by_small = Target("small:1").calls().size();
  ASSERT_GT(by_small, 1u);  // there are not joules for two answers of `big`
  NextWindow();
  EXPECT_NEAR(Regret(), (0.95 - 0.8) * static_cast<double>(by_small) / 4, 1e-6);
}

TEST_F(QualityMetricsTest, WhatTheRequestItselfForbidsIsNotRegretted) {
  Begin(kTwoExperts);
  EXPECT_THAT(Ask(MakeRequest(1, {{"penstock_energy_budget_j", 0.5}})).status, IsOk());
  ASSERT_EQ(Target("small:1").calls().size(), 1u);
  NextWindow();
  EXPECT_EQ(Regret(), 0);
}

TEST_F(QualityMetricsTest, WhoDidNotChooseByQualityRegretsNothing) {
  Begin(kTwoExperts);
  EXPECT_THAT(Ask(MakeRequest(1, {{"penstock_objective", std::string("energy")}})).status, IsOk());
  EXPECT_THAT(
      Ask(MakeRequest(1, {{"penstock_experts", std::string("small")}}), ForcedRights()).status,
      IsOk());
  ASSERT_EQ(Target("small:1").calls().size(), 2u);
  NextWindow();
  EXPECT_FALSE(Value(kRegret).has_value());
}

TEST_F(QualityMetricsTest, WhatIsGoneLeavesNoGauge) {
  Begin(kTwoExperts);
  Ask(MakeRequest());
  NextWindow();
  ASSERT_THAT(Scrape(), HasSubstr("penstock_router_regret{"));
  config::v1::Router next;
  ASSERT_THAT(ReadYaml(R"(
pools:
- name: another
  experts: [{name: small, quality: 0.8, replicas: [{address: "small:1"}]}]
)",
                       next),
              IsOk());
  Notification give_up;
  auto staged = catalogue_->Stage(next, absl::ZeroDuration(), give_up);
  ASSERT_THAT(staged.status(), IsOk());
  catalogue_->Commit(*std::move(staged));
  NextWindow();
  EXPECT_THAT(Scrape(), Not(HasSubstr("penstock_router_regret{pool=\"pool\"")));
  EXPECT_THAT(Scrape(), Not(HasSubstr("quality_estimate{")));
}

TEST(PoolQualityTest, OtherExpertsBeginAnew) {
  PoolQuality pool;
  const auto finish = [&](const std::vector<std::string>& experts, double quality) {
    v1::Decision decision;
    for (const std::string& expert : experts) {
      v1::Candidate& candidate = *decision.add_candidates();
      candidate.set_expert(expert);
      candidate.set_quality(quality);
    }
    RouteEvent event;
    event.decision = &decision;
    pool.RequestFinished(event);
  };
  finish({"a", "b"}, 1);
  finish({"a", "c"}, 0.5);
  finish({"a", "c"}, 0.25);
  const PoolQuality::Window window = pool.Take();
  EXPECT_THAT(window.experts, ::testing::ElementsAre("a", "c"));
  EXPECT_THAT(window.quality, ::testing::ElementsAre(0.375, 0.375));
}

}  // namespace
}  // namespace penstock::router
