#include "router_service/balance_metrics.h"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <optional>

#include "common/notification.h"
#include "common/store/memory_store.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CountingObserver final : public RouteObserver {
 public:
  void RequestFinished(const RouteEvent&) override { ++events; }
  int events = 0;
};

class BalanceMetricsTest : public RouterFixture {
 protected:
  void SetUp() override {
    RouterFixture::SetUp();
    Build(R"(
pools:
- name: pool
  experts:
  - {name: small, replicas: [{address: "small:1"}]}
  - {name: large, replicas: [{address: "large:1"}]}
)");
    metrics_.emplace(BalanceMetrics::Deps{registry_, labels_, *catalogue_, store_, clock_,
                                         timers_, next_});
    metrics_->Start();
  }
  void TearDown() override { metrics_->Stop(); }
  void Finish(const std::string& chosen) {
    v1::Decision decision;
    for (const char* name : {"small", "large"}) {
      v1::Candidate& candidate = *decision.add_candidates();
      candidate.set_expert(name);
      candidate.set_gate(name == chosen ? 0.75 : 0.25);
    }
    v1::Run& run = *decision.add_runs();
    run.set_expert(chosen);
    run.set_reason("chosen");
    RouteEvent event;
    event.pool = "pool";
    event.decision = &decision;
    metrics_->RequestFinished(event);
  }
  std::string Text() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

  prometheus::Registry registry_;
  PoolLabels labels_;
  MemoryStore store_{clock_};
  CountingObserver next_;
  std::optional<BalanceMetrics> metrics_;
};

TEST_F(BalanceMetricsTest, TellsTheLastWindow) {
  for (int i = 0; i < 3; ++i) Finish("small");
  Finish("large");
  metrics_->RequestFinished({});  // of no pool
  EXPECT_EQ(next_.events, 5);
  timers_.AdvanceAndRun(absl::Seconds(13));
  // f = (3/4, 1/4), p = (5/8, 3/8): 2 (15/32 + 3/32).
  EXPECT_THAT(
      Text(),
      AllOf(HasSubstr(R"(penstock_router_balance_loss{pool="pool"} 1.125)"),
            HasSubstr(R"(penstock_router_expert_choice_share{expert="small",pool="pool"} 0.75)"),
            HasSubstr(R"(penstock_router_expert_choice_share{expert="large",pool="pool"} 0.25)"),
            HasSubstr(R"(penstock_router_expert_gate_share{expert="small",pool="pool"} 0.625)"),
            // - 5/8 log 5/8 - 3/8 log 3/8, though each request's own entropy is less.
            HasSubstr(R"(penstock_router_gate_entropy_nats{pool="pool"} 0.66156)")));
  timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_THAT(
      Text(),
      AllOf(HasSubstr(R"(penstock_router_balance_loss{pool="pool"} Nan)"),
            HasSubstr(R"(penstock_router_gate_entropy_nats{pool="pool"} Nan)"),
            HasSubstr(R"(penstock_router_expert_choice_share{expert="small",pool="pool"} Nan)")));
}

TEST_F(BalanceMetricsTest, WhatIsGoneLeavesNoGauge) {
  Finish("small");
  timers_.AdvanceAndRun(absl::Seconds(13));
  config::v1::Router next;
  ASSERT_THAT(ReadYaml(R"(
pools:
- name: pool
  experts: [{name: small, replicas: [{address: "small:1"}]}]
)",
                       next),
              IsOk());
  Notification give_up;
  auto staged = catalogue_->Stage(next, absl::ZeroDuration(), give_up);
  ASSERT_THAT(staged.status(), IsOk());
  catalogue_->Commit(*std::move(staged));
  timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_THAT(Text(), AllOf(HasSubstr(R"(share{expert="small",pool="pool")"),
                            Not(HasSubstr(R"(share{expert="large",pool="pool")")),
                            HasSubstr(R"(penstock_router_balance_loss{pool="pool"})")));
}

TEST_F(BalanceMetricsTest, PoolsBeyondWhatIsToldHaveNoGauge) {
  for (size_t i = 0; i < PoolLabels::kMostPools; ++i) labels_.Admit(absl::StrCat("before", i));
  Finish("small");
  timers_.AdvanceAndRun(absl::Seconds(13));
  EXPECT_THAT(Text(), Not(HasSubstr("pool=\"pool\"")));
}

TEST_F(BalanceMetricsTest, AGateThatGivesAllToOneHasNoEntropy) {
  v1::Decision decision;
  for (const char* name : {"small", "large"}) {
    v1::Candidate& candidate = *decision.add_candidates();
    candidate.set_expert(name);
    candidate.set_gate(std::string(name) == "small" ? 1 : 0);
  }
  v1::Run& run = *decision.add_runs();
  run.set_expert("small");
  run.set_reason("chosen");
  RouteEvent event;
  event.pool = "pool";
  event.decision = &decision;
  metrics_->RequestFinished(event);
  timers_.AdvanceAndRun(absl::Seconds(13));
  EXPECT_THAT(Text(), HasSubstr("penstock_router_gate_entropy_nats{pool=\"pool\"} 0\n"));
}

}  // namespace
}  // namespace penstock::router
