#include "router_service/pools/plan_loop.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

// Requests of class `thrifty` may plan with 0.5 J: `small` takes 0.1 J, `big` 1 J.
constexpr char kPlanning[] = R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.95, replicas: [{address: "big:1"}]}
  classes: {thrifty: {plan_energy_j: 0.5}}
  planning: {}
)";

class PlanningPipeline : public RouterFixture {
 protected:
  void BuildPlanning(const std::string& yaml = kPlanning) {
    Build(yaml);
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
    loop_.emplace(*catalogue_, [this](const Pool& pool, const AdmissionPlan& plan) {
      EXPECT_EQ(pool.name(), "pool");
      versions_.push_back(plan.version);
    });
  }
  static InferRequest Thrifty() { return MakeRequest(1, {{"penstock_class", "thrifty"}}); }
  void SendThrifty(size_t requests) {
    for (size_t r = 0; r < requests; ++r) {
      clock_.Advance(absl::Milliseconds(100));
      ASSERT_THAT(Ask(Thrifty()).status, IsOk());
    }
  }

  std::vector<uint64_t> versions_;
  std::optional<PlanLoop> loop_;
};

TEST_F(PlanningPipeline, AClassAsksWhomItsPlanAdmits) {
  BuildPlanning();
  SendThrifty(PoolPlanner::kLeastRows);
  EXPECT_EQ(Last().runs(0).expert(), "big");
  loop_->Tick();
  EXPECT_THAT(versions_, ::testing::ElementsAre(1));
  SendThrifty(1);
  EXPECT_EQ(Last().runs(0).expert(), "small");
  EXPECT_EQ(Last().candidates(1).excluded(), "plan");
  // The others' requests are not planned for.
  ASSERT_THAT(Ask(MakeRequest(1)).status, IsOk());
  EXPECT_EQ(Last().runs(0).expert(), "big");
}

TEST_F(PlanningPipeline, APlanOfWhichNobodyIsLeftBindsNothing) {
  BuildPlanning();
  SendThrifty(PoolPlanner::kLeastRows);
  loop_->Tick();
  Target("small:1").SetHealthy(false);
  SendThrifty(1);
  EXPECT_EQ(Last().runs(0).expert(), "big");
  // The next look plans without it.
  loop_->Tick();
  EXPECT_THAT(versions_, ::testing::ElementsAre(1, 2));
}

TEST_F(PlanningPipeline, PlansWithoutWhomBreakersRefuse) {
  BuildPlanning();
  SendThrifty(PoolPlanner::kLeastRows);
  loop_->Tick();
  loop_->Tick();
  EXPECT_THAT(versions_, ::testing::ElementsAre(1));
  const PoolExpert& small = catalogue_->Find("pool")->experts[0];
  AttemptEnd broken;
  broken.status = absl::InternalError("broken");
  while (small.available()) {
    small.replicas[0]->guard().AttemptEnded(broken, clock_.Now(), clock_.Now());
  }
  ASSERT_TRUE(small.healthy());
  loop_->Tick();
  EXPECT_THAT(versions_, ::testing::ElementsAre(1, 2));
}

TEST_F(PlanningPipeline, WhatAClassForbidsIsNeverAsked) {
  BuildPlanning(R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.95, replicas: [{address: "big:1"}]}
  classes: {thrifty: {forbidden: [big]}}
  planning: {}
)");
  // Without a plan.
  SendThrifty(1);
  EXPECT_EQ(Last().runs(0).expert(), "small");
  // And where nobody else is left.
  Target("small:1").SetHealthy(false);
  EXPECT_THAT(Ask(Thrifty()).status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(PlanningPipeline, WhoSleepsIsNotAsked) {
  // 10 requests a second of 1 J each: `big` takes 10 W and idles at 100 W.
  BuildPlanning(R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.95, replicas: [{address: "big:1"}]}
  planning: {watts: 50, idle_watts: {small: 10, big: 100}}
)");
  for (size_t r = 0; r < PoolPlanner::kLeastRows; ++r) {
    clock_.Advance(absl::Milliseconds(100));
    ASSERT_THAT(Ask(MakeRequest(1)).status, IsOk());
  }
  EXPECT_EQ(Last().runs(0).expert(), "big");
  loop_->Tick();
  ASSERT_THAT(Ask(MakeRequest(1)).status, IsOk());
  EXPECT_EQ(Last().runs(0).expert(), "small");
  const auto plan = catalogue_->Find("pool")->record->planner->plan();
  ASSERT_NE(plan, nullptr);
  EXPECT_THAT(plan->awake, ::testing::ElementsAre(1, 0));
}

TEST_F(PlanningPipeline, LimitsOfAPlanNeedPlanning) {
  ASSERT_THAT(ReadYaml(R"(
pools:
- name: pool
  experts: [{name: small, replicas: [{address: "small:1"}]}]
  classes: {thrifty: {plan_energy_j: 0.5}}
)",
                       config_),
              IsOk());
  const auto catalogue = PoolCatalogue::Create(config_, false, timers_, clock_, connector_);
  EXPECT_THAT(std::string(catalogue.status().message()),
              HasSubstr("classes.thrifty: plan_energy_j, plan_latency_ms and forbidden need"));
}

}  // namespace
}  // namespace penstock::router
