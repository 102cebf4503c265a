#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

class BoundTenantsPipeline : public RouterFixture {
 protected:
  // A budget per request that `big` exceeds and `small` does not.
  void BuildBounded() {
    Build(absl::StrCat(
        kTwoExperts,
        "  budgets: [{resource: JOULES, amount: 0.3, per: REQUEST, bound_tenants: true}]\n"));
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  }
  v1::Decision Ask(const std::string& tenant, const std::string& expert) {
    InferRequest request = MakeRequest(1);
    if (!expert.empty()) request.parameters.push_back({"penstock_experts", expert});
    EXPECT_THAT(RouterFixture::Ask(request, Rights({.forced_experts = true}, tenant)).status,
                IsOk());
    return Last();
  }
};

TEST_F(BoundTenantsPipeline, TheDecisionSaysByHowMuchATenantIsRepriced) {
  BuildBounded();
  for (int i = 0; i < 40; ++i) Ask("modest", "small");
  for (int i = 0; i < 12; ++i) Ask("greedy", "big");
  const v1::Decision greedy = Ask("greedy", "small");
  const v1::Decision modest = Ask("modest", "small");
  ASSERT_TRUE(greedy.has_price_multiplier());
  // 12 requests of 1 J at .3 J: 1.1 - 3.333 each.
  EXPECT_NEAR(greedy.price_multiplier(), std::exp((12 * (1 / 0.3 - 1.1) - 25) / 8), 1e-6);
  EXPECT_FALSE(modest.has_price_multiplier());
}

// The budget has much left, and big is .15 better.
TEST_F(BoundTenantsPipeline, WhoOwesTooMuchIsNotGivenTheDearExpert) {
  BuildBounded();
  for (int i = 0; i < 400; ++i) Ask("modest", "small");
  for (int i = 0; i < 40; ++i) Ask("greedy", "big");
  const v1::Decision modest = Ask("modest", "");
  const v1::Decision greedy = Ask("greedy", "");
  ASSERT_EQ(modest.runs_size(), 1);
  EXPECT_EQ(modest.runs(0).expert(), "big");
  ASSERT_EQ(greedy.runs_size(), 1);
  EXPECT_EQ(greedy.runs(0).expert(), "small");
  EXPECT_EQ(greedy.degraded(), "budget");
}

}  // namespace
}  // namespace penstock::router
