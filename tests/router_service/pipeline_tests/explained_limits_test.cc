// What Explain says of limits that would change the choice.
#include "router_service/dispatch/explain/explained_limits.h"

#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ExplainedLimits : public RouterFixture {
 protected:
  v1::Decision Explain(std::vector<OutParameter> parameters) {
    auto decision = pipeline_->Explain(EncodeInferRequest(MakeRequest(1, std::move(parameters))),
                                       absl::InfiniteFuture(), {}, {});
    EXPECT_THAT(decision.status(), IsOk());
    return decision.value_or(v1::Decision());
  }
  // Null: no change of it, upwards or downwards, changes the choice.
  static const v1::Counterfactual* Find(const v1::Decision& decision,
                                        v1::Counterfactual::Limit limit, bool exclusive) {
    for (const v1::Counterfactual& one : decision.counterfactuals()) {
      if (one.limit() == limit && one.exclusive() == exclusive) return &one;
    }
    return nullptr;
  }
};

TEST_F(ExplainedLimits, AreToldInJoulesAndMilliseconds) {
  Build(kTwoExperts);
  const v1::Decision capped = Explain({{"penstock_energy_budget_j", 0.75}});
  ASSERT_EQ(capped.runs_size(), 1);
  ASSERT_EQ(capped.runs(0).expert(), "small");
  const auto* joules = Find(capped, v1::Counterfactual::ENERGY_BUDGET, false);
  ASSERT_NE(joules, nullptr);
  EXPECT_THAT(joules->experts(), ElementsAre("big"));
  EXPECT_DOUBLE_EQ(joules->bound(), capped.candidates(1).energy_j());
  EXPECT_DOUBLE_EQ(joules->change(), joules->bound() - 0.75);
  EXPECT_NEAR(joules->quality_gained(), 0.15, 1e-6);
  EXPECT_DOUBLE_EQ(joules->energy_j(), capped.candidates(1).energy_j());
  EXPECT_DOUBLE_EQ(joules->latency_ms(), capped.candidates(1).latency_ms());
  EXPECT_EQ(joules->status(), "OK");

  const v1::Decision late = Explain({{"penstock_latency_budget_ms", 5.0}});
  ASSERT_EQ(late.runs(0).expert(), "small");
  const auto* time = Find(late, v1::Counterfactual::TIME_LEFT, false);
  ASSERT_NE(time, nullptr);
  EXPECT_THAT(time->experts(), ElementsAre("big"));
  EXPECT_NEAR(time->bound(), late.candidates(1).latency_ms(), 1e-9);
  EXPECT_GT(time->change(), 0);
}

TEST_F(ExplainedLimits, WhereNobodyWouldBeLeftTheStatusSaysSo) {
  Build(kTwoExperts);
  const v1::Decision decision = Explain({});
  ASSERT_EQ(decision.runs(0).expert(), "big");
  const auto* quality = Find(decision, v1::Counterfactual::MIN_QUALITY, true);
  ASSERT_NE(quality, nullptr);
  EXPECT_NEAR(quality->bound(), 0.95, 1e-6);
  EXPECT_THAT(quality->experts(), IsEmpty());
  EXPECT_EQ(quality->status(), "FAILED_PRECONDITION");
  const auto* joules = Find(decision, v1::Counterfactual::ENERGY_BUDGET, true);
  ASSERT_NE(joules, nullptr);
  EXPECT_THAT(joules->experts(), ElementsAre("small"));
  EXPECT_FALSE(joules->has_change()) << "the request has no cap to change";
  EXPECT_NEAR(joules->quality_gained(), -0.15, 1e-6);
}

TEST_F(ExplainedLimits, AreNoPartOfADecisionThatIsRun) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  ASSERT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_THAT(Last().counterfactuals(), IsEmpty());
}

}  // namespace
}  // namespace penstock::router
