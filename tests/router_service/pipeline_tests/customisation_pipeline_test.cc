#include <algorithm>
#include <limits>

#include "router_service/combining/local_gate.h"
#include "router_service/recording/answered_expert.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;

// Experts: `small`, global, says (0.9, 0.1); `own` of tenant acme says (0.2, 0.8); `other` of
// tenant umbra. The gate takes the own answer where its largest probability exceeds tau's.
class CustomisationPipeline : public RouterFixture {
 protected:
  std::string GateOf(const std::string& tenant, double tau) {
    LocalGate gate;
    gate.weight = {0, 0, 0, 10};
    gate.bias = -5;  // 1/2 where the local answer is sure of 0.5
    gate.tau = tau;
    gate.centroid = {0, 0, 0, 0};
    const std::string path = dir_.File(absl::StrCat("gate_", tenant, ".safetensors"));
    EXPECT_THAT(WriteLocalGate(path, tenant, gate), IsOk());
    return path;
  }
  std::string Yaml(double tau, bool customised = true) {
    std::string yaml = R"(
pools:
- name: pool
  features: {tensor_pooling: {}}
  experts:
  - {name: small, quality: 0.9, replicas: [{address: "small:1"}]}
  - {name: own, quality: 0.95, replicas: [{address: "own:1"}]}
  - {name: other, quality: 0.95, replicas: [{address: "other:1"}]}
)";
    if (!customised) return yaml;
    return absl::StrCat(
        yaml, "  customisation: {global_expert: small, tenants: {acme: {expert: own, file: ",
        GateOf("acme", tau), "}, umbra: {expert: other, file: ", GateOf("umbra", tau), "}}}\n");
  }
  void BuildWith(double tau) {
    Replica("own:1").facts = ModelFacts(0.001, 0.01);
    Replica("other:1").facts = ModelFacts(0.001, 0.01);
    Build(Yaml(tau));
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("own:1").AnswerWith(MakeReply(1, 0.2f, 0.01));
    Target("other:1").AnswerWith(MakeReply(1, 0.1f, 0.01));
  }
  InferReply AskAs(const std::string& tenant, std::vector<OutParameter> parameters = {}) {
    return Ask(MakeRequest(1, std::move(parameters)), Rights({.forced_experts = true}, tenant));
  }
  std::vector<std::string> RunExperts() const {
    std::vector<std::string> names;
    const v1::Decision last = Last();
    for (const v1::Run& run : last.runs()) names.push_back(run.expert());
    return names;
  }
};

TEST_F(CustomisationPipeline, TheTenantsOwnAnswerIsTakenWhereTheGateSaysSo) {
  BuildWith(0.9);
  const InferReply reply = AskAs("acme");
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_THAT(Floats(reply, "p"), ElementsAre(FloatEq(0.2f), FloatEq(0.8f)));
  EXPECT_EQ(Text(reply, "penstock_experts"), "own");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "(none)");
  EXPECT_THAT(RunExperts(), ElementsAre("small", "own"));
  EXPECT_EQ(Last().runs(1).reason(), "local");
  EXPECT_NEAR(Last().energy_j(), 0.11, 1e-9);
}

TEST_F(CustomisationPipeline, BelowTauTheGlobalAnswerStandsAsItIs) {
  BuildWith(0.999);
  const InferReply reply = AskAs("acme");
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_THAT(Floats(reply, "p"), ElementsAre(FloatEq(0.9f), FloatEq(0.1f)));
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
}

// Byte by byte, but for the figures of the request.
TEST_F(CustomisationPipeline, WithoutTheGateTheOutputsAreThoseOfTheGlobalExpert) {
  BuildWith(std::numeric_limits<double>::infinity());
  const InferReply gated = AskAs("acme");
  catalogue_->Stop();
  config_.Clear();
  Build(R"(
pools:
- name: pool
  features: {tensor_pooling: {}}
  experts: [{name: small, quality: 0.9, replicas: [{address: "small:1"}]}]
)");
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  const InferReply alone = AskAs("acme");
  ASSERT_THAT(gated.status, IsOk());
  ASSERT_THAT(alone.status, IsOk());
  const auto outputs = [](const InferReply& reply) {
    const auto header = ScanInferResponse(reply.body);
    EXPECT_TRUE(header.ok());
    return *DecodeOutputs(reply.body, *header);
  };
  ASSERT_EQ(outputs(gated).size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(outputs(gated)[i].name, outputs(alone)[i].name);
    EXPECT_EQ(outputs(gated)[i].data, outputs(alone)[i].data);
  }
}

TEST_F(CustomisationPipeline, NobodyElseIsAnsweredByATenantsOwnExpert) {
  BuildWith(0.5);
  ASSERT_THAT(AskAs("stranger").status, IsOk());
  EXPECT_THAT(RunExperts(), ElementsAre("small"));
  EXPECT_EQ(Last().candidates(1).excluded(), "tenant");
  EXPECT_EQ(Last().candidates(2).excluded(), "tenant");
  ASSERT_THAT(AskAs("umbra").status, IsOk());
  EXPECT_THAT(RunExperts(), ElementsAre("small", "other"));
  // Not even by name.
  EXPECT_FALSE(AskAs("stranger", {{"penstock_experts", std::string("own")}}).status.ok());
  EXPECT_THAT(AskAs("acme", {{"penstock_experts", std::string("own")}}).status, IsOk());
  EXPECT_THAT(RunExperts(), ElementsAre("own"));
}

TEST_F(CustomisationPipeline, AnOwnExpertThatFailsLeavesTheGlobalAnswer) {
  BuildWith(0.5);
  InferReply failed;
  failed.status = absl::InternalError("broken");
  Target("own:1").AnswerWith(failed);
  const InferReply reply = AskAs("acme");
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "(none)");
}

TEST_F(CustomisationPipeline, WhereTheGlobalExpertFailsTheOwnAnswerIsBetterThanNone) {
  BuildWith(0.5);
  InferReply failed;
  failed.status = absl::InternalError("broken");
  Target("small:1").AnswerWith(failed);
  const InferReply reply = AskAs("acme");
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "own");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "expert_failed");
}

TEST_F(CustomisationPipeline, AnAnswerThatIsNoDistributionLeavesTheGlobalOne) {
  BuildWith(0.5);
  Target("own:1").AnswerWith(MakeReply(1, -0.5f, 0.01));  // (-0.5, 1.5)
  const InferReply reply = AskAs("acme");
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_THAT(RunExperts(), ElementsAre("small", "own"));
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_THAT(Floats(reply, "p"), ElementsAre(FloatEq(0.9f), FloatEq(0.1f)));
}

TEST_F(CustomisationPipeline, ACapLeavesNoRoomForTheOwnExpert) {
  BuildWith(0.5);
  ASSERT_THAT(AskAs("acme", {{"penstock_energy_budget_j", 0.105}}).status, IsOk());
  EXPECT_THAT(RunExperts(), ElementsAre("small"));
}

// A report tells of the expert whose answer was taken.
TEST_F(CustomisationPipeline, OneOfThemAnswered) {
  const auto answered = [&] {
    EXPECT_THAT(AskAs("acme").status, IsOk());
    EXPECT_EQ(Last().runs_size(), 2);
    const v1::Decision last = Last();
    const v1::Run* const run = AnsweredRun(last);
    return run == nullptr ? "(nobody)" : run->expert();
  };
  BuildWith(0.9);
  EXPECT_EQ(answered(), "own");
  InferReply failed;
  failed.status = absl::InternalError("broken");
  Target("small:1").AnswerWith(failed);
  EXPECT_EQ(answered(), "own");
  catalogue_->Stop();
  config_.Clear();
  BuildWith(0.999);
  EXPECT_EQ(answered(), "small");
  Target("own:1").AnswerWith(failed);
  EXPECT_EQ(answered(), "small");
}

// 0.1 J of the first attempt and 0.01 J of the own expert go off the cap before a second attempt.
TEST_F(CustomisationPipeline, ASecondAttemptHasWhatTheOwnExpertLeaves) {
  Replica("own:1").facts = ModelFacts(0.001, 0.01);
  Build(absl::StrCat(R"(
pools:
- name: pool
  features: {tensor_pooling: {}}
  experts:
  - {name: small, quality: 0.9, replicas: [{address: "small:1"}, {address: "small:2"}]}
  - {name: own, quality: 0.95, replicas: [{address: "own:1"}]}
  customisation: {global_expert: small, tenants: {acme: {expert: own, file: )",
                     GateOf("acme", 0.9), "}}}\n"));
  InferReply failed;
  failed.status = absl::UnavailableError("gone");
  const auto attempts = [&](double cap) {
    Target("small:1").AnswerWith(failed);
    Target("small:2").AnswerWith(failed);
    Target("own:1").AnswerWith(MakeReply(1, 0.2f, 0.01));
    EXPECT_THAT(AskAs("acme", {{"penstock_energy_budget_j", cap}}).status, IsOk());
    const std::vector<std::string> runs = RunExperts();
    return std::count(runs.begin(), runs.end(), "small");
  };
  EXPECT_EQ(attempts(0.205), 1);
  EXPECT_EQ(attempts(0.215), 2);
}

TEST_F(CustomisationPipeline, AnotherTenantsGateIsNotLoaded) {
  Replica("own:1").facts = ModelFacts(0.001, 0.01);
  const std::string path = GateOf("umbra", 0.5);
  Build(absl::StrCat(R"(
pools:
- name: pool
  features: {tensor_pooling: {}}
  experts:
  - {name: small, quality: 0.9, replicas: [{address: "small:1"}]}
  - {name: own, quality: 0.95, replicas: [{address: "own:1"}]}
  customisation: {global_expert: small, tenants: {acme: {expert: own, file: )",
                     path, "}}}\n"));
  EXPECT_THAT(catalogue_->Find("pool")->unusable_because,
              HasSubstr("is the gate of tenant \"umbra\", wanted \"acme\""));
}

}  // namespace
}  // namespace penstock::router
