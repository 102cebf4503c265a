#include "router_service/resilience_metrics.h"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "common/notification.h"
#include "router_service/pools/guard_loop.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ResilienceMetricsTest : public RouterFixture {
 protected:
  void SetUp() override {
    RouterFixture::SetUp();
    Build(R"(
pools:
- name: pool
  replica_choice: {rule: POWER_OF_TWO_CHOICES}
  experts:
  - {name: small, replicas: [{address: "small:1"}, {address: "small:2"}]}
)");
  }
  std::string Sweep() {
    metrics_.Swept(catalogue_->All(), clock_.Now());
    return prometheus::TextSerializer().Serialize(registry_.Collect());
  }

  prometheus::Registry registry_;
  PoolLabels labels_;
  ResilienceMetrics metrics_{registry_, labels_};
};

TEST_F(ResilienceMetricsTest, TellsBreakersAndRetries) {
  EXPECT_THAT(
      Sweep(),
      AllOf(HasSubstr(
                R"(penstock_router_breaker_state{expert="small",pool="pool",replica="small:1"} 0)"),
            HasSubstr(R"(penstock_router_retry_budget_tokens{pool="pool"} 100)")));
  Target("small:1").AnswerWith({absl::UnavailableError("gone"), {}, {}});
  Target("small:2").AnswerWith(MakeReply(1, 0.9f, 0.1));
  for (int i = 0; i < 100; ++i) EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  const std::string once = Sweep();
  EXPECT_THAT(
      once,
      AllOf(HasSubstr(
                R"(penstock_router_breaker_state{expert="small",pool="pool",replica="small:1"} 2)"),
            HasSubstr(
                R"(penstock_router_breaker_state{expert="small",pool="pool",replica="small:2"} 0)"),
            HasSubstr(R"(penstock_router_breaker_openings_total{expert="small",pool="pool"} 1)"),
            HasSubstr(R"(penstock_router_retry_results_total{pool="pool",result="answered"} 5)"),
            HasSubstr(R"(penstock_router_ejected_replicas{expert="small",pool="pool"} 0)")));
  EXPECT_EQ(Sweep(), once);  // nothing is counted twice
}

TEST_F(ResilienceMetricsTest, WhatIsGoneLeavesNoGauge) {
  Sweep();
  config::v1::Router next;
  ASSERT_THAT(ReadYaml(R"(
pools:
- name: other
  experts: [{name: small, replicas: [{address: "small:2"}]}]
)",
                       next),
              IsOk());
  Notification give_up;
  auto staged = catalogue_->Stage(next, absl::ZeroDuration(), give_up);
  ASSERT_THAT(staged.status(), IsOk());
  catalogue_->Commit(*std::move(staged));
  EXPECT_THAT(
      Sweep(),
      AllOf(
          Not(HasSubstr(R"(breaker_state{expert="small",pool="pool")")),
          Not(HasSubstr(R"(ejected_replicas{expert="small",pool="pool")")),
          Not(HasSubstr(R"(retry_budget_tokens{pool="pool")")),
          HasSubstr(
              R"(penstock_router_breaker_state{expert="small",pool="other",replica="small:2"} 0)")));
}

TEST_F(ResilienceMetricsTest, PoolsBeyondWhatIsToldHaveNoSeries) {
  for (size_t i = 0; i < PoolLabels::kMostPools; ++i) labels_.Admit(absl::StrCat("before", i));
  EXPECT_THAT(Sweep(), Not(HasSubstr("pool=\"pool\"")));
}

}  // namespace
}  // namespace penstock::router
