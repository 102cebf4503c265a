#include "router_service/pools/pool_catalogue.h"

#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class PoolCatalogueTest : public RouterFixture {
 protected:
  absl::Status CreateStatus(const std::string& yaml, bool in_process = false) {
    config::v1::Router config;
    EXPECT_THAT(ReadYaml(yaml, config), IsOk());
    return PoolCatalogue::Create(config, in_process, timers_, clock_, connector_).status();
  }
};

TEST_F(PoolCatalogueTest, TakesTheContractFromTheFirstExpert) {
  Build(kTwoExperts);
  const auto pool = catalogue_->Find("pool");
  ASSERT_NE(pool->rooms, nullptr);
  const PoolContract& contract = pool->rooms->contract;
  EXPECT_TRUE(contract.batched);
  EXPECT_EQ(contract.inputs[0].name, "x");
  EXPECT_EQ(contract.inputs[0].shape, std::vector<int64_t>{4});
  EXPECT_TRUE(catalogue_->ready());
}

TEST_F(PoolCatalogueTest, LeavesOutAnExpertThatDiffers) {
  Replica("big:1").facts->metadata.mutable_outputs(0)->set_datatype("FP64");
  Build(kTwoExperts);
  const PoolExpert& big = catalogue_->Find("pool")->experts[1];
  EXPECT_FALSE(big.admitted);
  EXPECT_THAT(big.left_out_because, AllOf(HasSubstr("p"), HasSubstr("FP32"), HasSubstr("FP64")));
  EXPECT_TRUE(catalogue_->ready());
}

TEST_F(PoolCatalogueTest, LeavesOutAnExpertThatDiffersFromTheConfiguredContract) {
  Build(R"(
pools:
- name: pool
  batched: true
  inputs: [{name: x, datatype: FP32, shape: [8]}]
  outputs: [{name: p, datatype: FP32, shape: [2]}]
  experts: [{name: small, replicas: [{address: "small:1"}]}]
)");
  EXPECT_THAT(catalogue_->Find("pool")->experts[0].left_out_because, HasSubstr("[8]"));
  EXPECT_FALSE(catalogue_->ready());
}

TEST_F(PoolCatalogueTest, AsksUntilTheExpertIsThere) {
  const auto facts = Replica("small:1").facts;
  Replica("small:1").facts = absl::UnavailableError("connection refused");
  Build(R"(
pools:
- name: pool
  experts: [{name: small, model: digits, replicas: [{address: "small:1"}]}]
)");
  EXPECT_FALSE(catalogue_->ready());
  EXPECT_THAT(catalogue_->Find("pool")->NotReadyBecause(), HasSubstr("connection refused"));
  Replica("small:1").facts = facts;
  timers_.AdvanceAndRun(absl::Seconds(3));
  EXPECT_TRUE(catalogue_->ready());
  EXPECT_EQ(Replica("small:1").asked_models.front(), "digits");
}

TEST_F(PoolCatalogueTest, AsksAnotherReplicaWhenOneIsSilent) {
  Replica("small:1").facts = absl::UnavailableError("down");
  Build(R"(
pools:
- name: pool
  experts: [{name: small, replicas: [{address: "small:1"}, {address: "small:2"}]}]
)");
  timers_.AdvanceAndRun(absl::Seconds(3));
  EXPECT_TRUE(catalogue_->Find("pool")->experts[0].admitted);
}

TEST_F(PoolCatalogueTest, IsNotReadyWithoutAHealthyExpertInEveryPool) {
  Build(kTwoExperts);
  Target("small:1").SetHealthy(false);
  EXPECT_TRUE(catalogue_->ready());
  Target("big:1").SetHealthy(false);
  EXPECT_FALSE(catalogue_->ready());
}

TEST_F(PoolCatalogueTest, APoolThatIsDownHoldsUpTheOthersForTenSeconds) {
  Replica("big:1").facts = absl::UnavailableError("connection refused");
  Build(R"(
pools:
- name: pool
  experts: [{name: small, replicas: [{address: "small:1"}]}]
- name: down
  experts: [{name: big, replicas: [{address: "big:1"}]}]
)");
  timers_.AdvanceAndRun(absl::Seconds(9));
  EXPECT_FALSE(catalogue_->ready());
  timers_.AdvanceAndRun(absl::Seconds(1));
  EXPECT_TRUE(catalogue_->ready());
  EXPECT_FALSE(catalogue_->Find("down")->ready());
  Target("small:1").SetHealthy(false);
  EXPECT_FALSE(catalogue_->ready());
}

TEST_F(PoolCatalogueTest, StartsTheCostModelFromWhatTheExpertSays) {
  Build(kTwoExperts);
  const CostEstimate estimate = catalogue_->Find("pool")->record->cost.Estimate(1, 0, 2, {});
  EXPECT_DOUBLE_EQ(estimate.energy_j, 2.0);
}

TEST_F(PoolCatalogueTest, StartsTheCostModelFromConfigurationForOtherPeoplesServers) {
  Replica("small:1").facts->description.reset();
  Build(R"(
pools:
- name: pool
  experts:
  - {name: small, joules_per_row: 0.3, latency_ms: 4, replicas: [{address: "small:1"}]}
)");
  const CostEstimate estimate = catalogue_->Find("pool")->record->cost.Estimate(0, 0, 1, {});
  EXPECT_DOUBLE_EQ(estimate.energy_j, 0.3);
  EXPECT_NEAR(estimate.idle_latency_s, 0.004, 1e-9);
}

TEST_F(PoolCatalogueTest, ReportsIdleWattsOnceForExpertsOfOneServer) {
  Replica("small:1").facts->idle_watts = 10;
  Build(R"(
pools:
- name: pool
  experts:
  - {name: a, replicas: [{address: "small:1"}]}
  - {name: b, replicas: [{address: "small:1"}]}
)");
  auto catalogue = PoolCatalogue::Create(config_, false, timers_, clock_, connector_);
  ASSERT_THAT(catalogue.status(), IsOk());
  std::map<std::string, double> watts;
  (*catalogue)->SetIdleWattsHandler([&](absl::string_view pool, double w) {
    watts[std::string(pool)] = w;
  });
  (*catalogue)->Start();
  EXPECT_EQ(watts["pool"], 10);
  EXPECT_EQ(watts[""], 10);
  (*catalogue)->Stop();
}

TEST_F(PoolCatalogueTest, RefusesWrongConfigurationsByName) {
  EXPECT_THAT(CreateStatus("seed: 1"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CreateStatus("pools: [{name: pool}]"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("experts")));
  EXPECT_THAT(CreateStatus("pools: [{name: pool, experts: [{name: a}]}]"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("replicas")));
  EXPECT_THAT(CreateStatus("pools: [{name: pool, experts: [{name: a}]}]", true), IsOk());
  EXPECT_THAT(
      CreateStatus(R"(pools: [{name: pool, experts: [{name: a, replicas: [{address: "x:1"}]}],
                     selection: {max_experts: 17}}])"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_experts")));
  EXPECT_THAT(
      CreateStatus(R"(pools: [{name: pool, granularity: ROW, combiner: VOTE,
                     experts: [{name: a, replicas: [{address: "x:1"}]}]}])"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("pool")));
}

TEST_F(PoolCatalogueTest, RefusesMoreExpertsARequestThanThereAre) {
  const auto with = [&](const std::string& more) {
    return CreateStatus(absl::StrCat(
        R"(pools: [{name: pool, experts: [{name: a, replicas: [{address: "x:1"}]}], )", more, "}]"));
  };
  const auto refused = [](const std::string& message) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message));
  };
  EXPECT_THAT(with("gate: {topk_softmax: {k: 3}}"),
              refused("pools[0].gate.topk_softmax.k: wanted 1 to 1, got 3"));
  EXPECT_THAT(with("gate: {topk_softmax: {k: 0}}"),
              refused("pools[0].gate.topk_softmax.k: wanted 1 to 1, got 0"));
  EXPECT_THAT(with("gate: {random: {k: 2}}"), refused("pools[0].gate.random.k"));
  EXPECT_THAT(with("selection: {max_experts: 2}"),
              refused("pools[0].selection.max_experts: wanted 1 to 1, got 2"));
  EXPECT_THAT(with("selection: {max_experts: 0}"), refused("selection.max_experts"));
  EXPECT_THAT(with("selection: {max_experts: 1}, gate: {topk_softmax: {k: 1}}"), IsOk());
  EXPECT_THAT(with("gate: {comet: {file: any, k: 2}}"),
              refused("pools[0].gate.comet.k: wanted 1 to 1, got 2"));
}

TEST_F(PoolCatalogueTest, RefusesALinearGateWithALearnedTemperature) {
  EXPECT_THAT(
      CreateStatus(
          R"(pools: [{name: pool, experts: [{name: a, replicas: [{address: "x:1"}]}],
             gate: {activation: {file: any, activation: IDENTITY}}}])"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("pools[0].gate.activation.activation: wanted TANH, SIGMOID or GELU")));
}

TEST(PoolContract, WithoutModelConfigALeadingVariableDimensionMeansRows) {
  EXPECT_TRUE(ContractFromMetadata(ModelFacts(0, 0).metadata, nullptr).batched);
  inference::ModelMetadataResponse fixed = ModelFacts(0, 0).metadata;
  fixed.mutable_inputs(0)->set_shape(0, 3);
  EXPECT_FALSE(ContractFromMetadata(fixed, nullptr).batched);
}

}  // namespace
}  // namespace penstock::router
