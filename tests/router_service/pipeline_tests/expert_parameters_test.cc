#include "router_service/pools/expert_parameters.h"

#include "router_service/pools/pool.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

// One model twice: long answers at 1 J, and the same cut short at 0.2 J.
constexpr char kTwoLengths[] = R"(
pools:
- name: pool
  experts:
  - {name: long, model: big, quality: 0.95, replicas: [{address: "big:1"}]}
  - name: short
    model: big
    quality: 0.8
    joules_per_row: 0.2
    latency_ms: 4
    parameters:
      max_tokens: {int64: 64}
      temperature: {double: 0.5}
      stream: {bool: false}
      stop: {string: END}
    replicas: [{address: "big:1"}]
)";

class ExpertParameters : public RouterFixture {
 protected:
  std::map<std::string, ParameterValue> SentTo(const std::string& address, size_t call) {
    std::map<std::string, ParameterValue> parameters;
    const auto header = ScanInferRequest(Target(address).calls().at(call)->request());
    EXPECT_THAT(header, IsOk());
    for (const Parameter& parameter : header->parameters) {
      EXPECT_TRUE(parameters.emplace(parameter.name, parameter.value).second) << parameter.name;
    }
    return parameters;
  }
};

TEST_F(ExpertParameters, AreSetForTheirExpertOverTheCallers) {
  Build(kTwoLengths);
  Target("big:1").AnswerWith(MakeReply(1, 0.75f, 0.2));
  const InferReply reply = Ask(MakeRequest(1, {{"penstock_experts", std::string("short")},
                                               {"max_tokens", int64_t{4096}},
                                               {"mine", std::string("kept")}}),
                               ForcedRights());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "short");
  const std::map<std::string, ParameterValue> sent = SentTo("big:1", 0);
  EXPECT_EQ(sent, (std::map<std::string, ParameterValue>{{"max_tokens", int64_t{64}},
                                                         {"temperature", 0.5},
                                                         {"stream", false},
                                                         {"stop", std::string("END")},
                                                         {"mine", std::string("kept")}}));
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header,
                       ScanInferRequest(Target("big:1").calls()[0]->request()));
  EXPECT_EQ(header.model_name, "big");
  EXPECT_EQ(header.inputs.size(), 1u);
}

TEST_F(ExpertParameters, OfOneExpertAreNotSetForAnotherOfTheSameModel) {
  Build(kTwoLengths);
  Target("big:1").AnswerWith(MakeReply(1, 0.75f, 1));
  const InferReply reply = Ask(MakeRequest(1, {{"max_tokens", int64_t{4096}}}));
  EXPECT_EQ(Text(reply, "penstock_experts"), "long");
  EXPECT_EQ(SentTo("big:1", 0),
            (std::map<std::string, ParameterValue>{{"max_tokens", int64_t{4096}}}));
}

TEST_F(ExpertParameters, ABudgetChoosesTheShorterAnswerOfTheSameModel) {
  Build(kTwoLengths);
  Target("big:1").AnswerWith(MakeReply(1, 0.75f, 0.2));
  const InferReply reply = Ask(MakeRequest(1, {{"penstock_energy_budget_j", 0.5}}));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "short");
  EXPECT_EQ(SentTo("big:1", 0).at("max_tokens"), (ParameterValue(int64_t{64})));
}

TEST_F(ExpertParameters, AreSetForPartsOfABatchToo) {
  Replica("even:1").facts = ModelFacts(0.001, 0.1);
  Build(R"(
pools:
- name: pool
  granularity: ROW
  combiner: WEIGHTED_SUM
  features: {tensor_pooling: {input: x}}
  gate: {random: {k: 1}}
  experts:
  - name: cut
    model: even
    parameters: {max_tokens: {int64: 8}}
    replicas: [{address: "even:1"}]
  - {name: whole, model: even, replicas: [{address: "even:1"}]}
)");
  Target("even:1").AnswerWith([](const Bytes& body, const CallOptions&) {
    const auto header = ScanInferRequest(body);
    return MakeReply(header->inputs[0].shape[0], 0.75f, 0.1);
  });
  ASSERT_THAT(Ask(MakeRequest(16, {{"max_tokens", int64_t{100}}})).status, IsOk());
  ASSERT_EQ(Target("even:1").calls().size(), 2u);  // 16 rows between two at random: both get some
  std::vector<int64_t> limits;
  for (size_t call = 0; call < 2; ++call) {
    limits.push_back(std::get<int64_t>(SentTo("even:1", call).at("max_tokens")));
  }
  EXPECT_THAT(limits, ::testing::UnorderedElementsAre(8, 100));
}

TEST_F(ExpertParameters, ThatNoReplicaCouldGetAreRefused) {
  const auto refusal = [this](const std::string& parameters) {
    config::v1::Router config;
    EXPECT_THAT(ReadYaml(absl::StrCat("pools: [{name: pool, experts: [{name: a, replicas: "
                                      "[{address: \"a:1\"}], parameters: ",
                                      parameters, "}]}]"),
                         config),
                IsOk());
    return ValidatePool(config.pools(0), false);
  };
  EXPECT_THAT(refusal("{max_tokens: {int64: 4}}"), IsOk());
  EXPECT_THAT(refusal("{penstock_class: {string: x}}"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("begins with penstock_")));
  EXPECT_THAT(refusal("{max_tokens: {}}"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("parameters.max_tokens: wanted one of bool, int64")));
  std::string many = "{";
  for (int i = 0; i < 65; ++i) absl::StrAppend(&many, "p", i, ": {bool: true}, ");
  EXPECT_THAT(refusal(many + "}"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("at most 64")));
}

TEST(LargestAnswerConfig, IsAFiniteNumberOfAtLeastWhatAnAnswerTakes) {
  config::v1::Router config;
  ASSERT_THAT(ReadYaml("pools: [{name: pool, experts: [{name: a, joules_per_row: 2, "
                       "largest_joules_per_row: 2, replicas: [{address: \"a:1\"}]}]}]\n",
                       config),
              IsOk());
  const auto refusal = [&](double largest) {
    config.mutable_pools(0)->mutable_experts(0)->set_largest_joules_per_row(largest);
    return ValidatePool(config.pools(0), false);
  };
  EXPECT_THAT(ValidatePool(config.pools(0), false), IsOk());
  EXPECT_THAT(refusal(1e6), IsOk());
  for (const double bad : {0.0, -3.0, 1.9, HUGE_VAL, std::nan("")}) {
    EXPECT_THAT(refusal(bad), StatusIs(StatusCode::kInvalidArgument,
                                       HasSubstr("expert a: largest_joules_per_row is ")))
        << bad;
  }
  EXPECT_THAT(refusal(1.5), StatusIs(StatusCode::kInvalidArgument,
                                     HasSubstr("at least joules_per_row, which is 2")));
}

TEST(ExpertParametersStart, ConfiguredCostsCountBeforeTheReplicasOwn) {
  config::v1::PoolExpert expert;
  expert.set_joules_per_row(0.2);
  expert.set_latency_ms(4);
  const ReplicaFacts facts = ModelFacts(0.010, 1.0);
  EXPECT_EQ(StartOf(expert, &facts).joules_per_row, 1.0);
  (*expert.mutable_parameters())["max_tokens"].set_int64(64);
  const CostStart start = StartOf(expert, &facts);
  EXPECT_EQ(start.joules_per_row, 0.2);
  EXPECT_EQ(start.seconds_per_row, 0);
  EXPECT_EQ(start.seconds_per_request, 0.004);
}

}  // namespace
}  // namespace penstock::router
