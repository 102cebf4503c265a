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
    InferRequest request = MakeRequest(1, {{"penstock_experts", expert}});
    EXPECT_THAT(RouterFixture::Ask(request, Rights({.forced_experts = true}, tenant)).status,
                IsOk());
    return Last();
  }
};

TEST_F(BoundTenantsPipeline, TheDecisionSaysByHowMuchATenantIsRepriced) {
  BuildBounded();
  for (int i = 0; i < 40; ++i) Ask("modest", "small");
  for (int i = 0; i < 40; ++i) Ask("greedy", "big");
  const v1::Decision greedy = Ask("greedy", "small");
  const v1::Decision modest = Ask("modest", "small");
  ASSERT_TRUE(greedy.has_price_multiplier());
  // 40 requests of 1 J at .3 J: 1.25 - 3.333 each.
  EXPECT_NEAR(greedy.price_multiplier(), std::exp(40 * (1 / 0.3 - 1.25) / 20), 1e-6);
  EXPECT_FALSE(modest.has_price_multiplier());
}

}  // namespace
}  // namespace penstock::router
