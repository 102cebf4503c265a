#include <algorithm>

#include "router_service/dispatch/choice/exploration.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

// Alike by all that the configuration says; `second` is right more often.
constexpr char kExperts[] = R"(
pools:
- name: pool
  experts:
  - {name: first, quality: 0.6, replicas: [{address: "small:1"}]}
  - {name: second, quality: 0.6, replicas: [{address: "small:2"}]}
)";

class ExplorationPipeline : public RouterFixture {
 protected:
  void BuildExploring(absl::string_view head, absl::string_view settings) {
    Build(absl::StrCat(head, kExperts, "  exploration: {", settings, "}\n"));
    for (const char* address : {"small:1", "small:2"}) {
      Target(address).AnswerWith(MakeReply(1, 0.9f, 0.1));
    }
  }
  // One request, and the report of its answer; the decision.
  v1::Decision AskAndReport() {
    EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
    const v1::Decision decision = Last();
    EXPECT_EQ(decision.runs_size(), 1);
    CounterRandom outcome(17, asked_++);
    const double right = decision.runs(0).expert() == "second" ? 0.9 : 0.5;
    SharedDecision reported;
    EXPECT_THAT(log_->Report(decision.id(), outcome.Uniform() < right ? 1 : 0, "", &reported),
                IsOk());
    EXPECT_NE(reported, nullptr);
    if (reported != nullptr) LearnFromReport(*catalogue_, *reported);
    return decision;
  }
  uint64_t asked_ = 0;
};

TEST_F(ExplorationPipeline, FindsTheBetterExpertFromReports) {
  BuildExploring("", "beta: 1");
  size_t second = 0, propensities = 0;
  v1::Decision last;
  for (int i = 0; i < 400; ++i) {
    last = AskAndReport();
    propensities += last.has_propensity() && last.propensity() > 0 && last.propensity() <= 1;
    second += i >= 300 && last.runs(0).expert() == "second";
  }
  EXPECT_GT(second, 90u);
  EXPECT_EQ(propensities, 400u);
  ASSERT_EQ(last.candidates_size(), 2);
  EXPECT_NEAR(last.candidates(1).quality(), 0.9, 0.1);
  EXPECT_EQ(catalogue_->Find("pool")->record->explorer->totals().reports, 400u);
}

TEST_F(ExplorationPipeline, AReportOfWhatOtherFilesDecidedTeachesNothing) {
  BuildExploring("", "");
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  v1::Decision decision = Last();
  decision.set_reported_quality(1);
  const Explorer& explorer = *catalogue_->Find("pool")->record->explorer;
  const std::string version = decision.quality_version();
  decision.set_quality_version("another");
  LearnFromReport(*catalogue_, decision);
  EXPECT_EQ(explorer.totals().reports, 0u);
  decision.set_quality_version(version);
  LearnFromReport(*catalogue_, decision);
  EXPECT_EQ(explorer.totals().reports, 1u);
}

TEST_F(ExplorationPipeline, TellsWhatItAskedToLearn) {
  BuildExploring("", "uniform: 0.5, beta: 0");
  size_t explored = 0;
  for (int i = 0; i < 60; ++i) {
    const v1::Decision decision = AskAndReport();
    if (!decision.explored()) continue;
    ++explored;
    EXPECT_NEAR(decision.propensity(), 0.25, 1e-9);
    EXPECT_THAT(decision.reason(), ::testing::HasSubstr("asked to learn of it"));
  }
  EXPECT_GT(explored, 5u);
  EXPECT_LT(explored, 30u);
}

TEST_F(ExplorationPipeline, TheSameRequestsAreExploredAlike) {
  std::vector<std::string> experts[2];
  for (std::vector<std::string>& run : experts) {
    asked_ = 0;
    BuildExploring("seed: 9\n", "uniform: 0.3");
    for (int i = 0; i < 80; ++i) run.push_back(AskAndReport().runs(0).expert());
    catalogue_->Stop();
  }
  EXPECT_EQ(experts[0], experts[1]);
  EXPECT_GT(std::count(experts[0].begin(), experts[0].end(), "first"), 0);
  EXPECT_GT(std::count(experts[0].begin(), experts[0].end(), "second"), 0);
}

TEST_F(ExplorationPipeline, WithoutLearningNobodyIsAskedToLearn) {
  BuildExploring("learning: OFF\n", "uniform: 0.5");
  for (int i = 0; i < 40; ++i) {
    const v1::Decision decision = AskAndReport();
    EXPECT_EQ(decision.runs(0).expert(), "first");
    EXPECT_FALSE(decision.has_propensity());
  }
}

TEST_F(ExplorationPipeline, TheCallersOwnChoiceIsKept) {
  BuildExploring("", "uniform: 0.5");
  for (int i = 0; i < 20; ++i) {
    const InferRequest request = MakeRequest(1, {{"penstock_experts", std::string("second")}});
    EXPECT_THAT(Ask(request, ForcedRights()).status, IsOk());
    EXPECT_EQ(Last().runs(0).expert(), "second");
    EXPECT_FALSE(Last().has_propensity());
  }
}

TEST_F(ExplorationPipeline, WhatWasPaidForAChoiceThatDoesNotRunIsGivenBack) {
  BuildExploring("", "");
  Explorer& explorer = *catalogue_->Find("pool")->record->explorer;
  RouteRequest request;
  request.pool = catalogue_->Find("pool");
  request.caller.tenant = "acme";
  // 1000 requests of 1 J at 2 % leave 20 J.
  const std::vector<ExplorationOption> same = {{0, 1, 0, 1}};
  for (int i = 0; i < 1000; ++i) explorer.Choose("acme", same, 0, CounterRandom(1, 1));
  const std::vector<ExplorationOption> options = {{0, 0, 0, 1}, {1, 0, 5, 4}};
  const ExplorationChoice explored = explorer.Choose("acme", options, 0, CounterRandom(1, 1));
  ASSERT_TRUE(explored.explored);
  EXPECT_NEAR(explored.premium_j, 3, 1e-9);
  EXPECT_NEAR(explorer.totals().paid_j, 3, 1e-9);
  ExpertChoice choice;
  choice.premium_j = explored.premium_j;
  RefundExploration(request, choice);
  EXPECT_NEAR(explorer.totals().paid_j, 0, 1e-9);
  RefundExploration(request, choice);  // once
  EXPECT_NEAR(explorer.totals().paid_j, 0, 1e-9);
}

// A dear expert is asked now and then, within the share of what the requests take.
TEST_F(ExplorationPipeline, ADearExpertIsExploredWithinTheShare) {
  Build(absl::StrCat(R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.6, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.6, replicas: [{address: "big:1"}]}
  exploration: {uniform: 0.5, max_spend: 0.1}
  budgets: [{resource: JOULES, amount: 0.2, per: REQUEST}]
)"));
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  size_t big = 0;
  for (int i = 0; i < 400; ++i) big += AskAndReport().runs(0).expert() == "big";
  const Explorer::Totals totals = catalogue_->Find("pool")->record->explorer->totals();
  EXPECT_GT(big, 2u);
  EXPECT_LE(totals.paid_j, 0.1 * totals.accrued_j + 1e-9);
}

}  // namespace
}  // namespace penstock::router
