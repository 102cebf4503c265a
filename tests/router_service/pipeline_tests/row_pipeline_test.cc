#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using absl::StatusCode;

// Three experts. Row (r, r, r, r) goes to `even` or `odd` by the gate over x; `never` has no rows. Expert
// `even` answers p = (x, 2x), `odd` answers p = (10x, 20x).
class RowPipeline : public RouterFixture {
 protected:
  void SetUp() override {
    RouterFixture::SetUp();
    for (const char* address : {"even:1", "odd:1", "never:1"}) {
      Replica(address).facts = ModelFacts(0.001, 0.1, /*max_rows=*/3);
    }
    AnswerTimes("even:1", 1);
    AnswerTimes("odd:1", 10);
    AnswerTimes("never:1", 1000);
  }

  void AnswerTimes(const std::string& address, float factor) {
    Target(address).AnswerWith([factor](const Bytes& body, const CallOptions&) {
      InferReply reply;
      const auto header = ScanInferRequest(body);
      const auto inputs = DecodeInputs(body, *header);
      const std::vector<float> x = *ToFloats((*inputs)[0]);
      const int64_t rows = (*inputs)[0].shape[0];
      std::vector<float> p;
      std::vector<std::string> labels;
      for (int64_t row = 0; row < rows; ++row) {
        p.push_back(factor * x[row * 4]);
        p.push_back(2 * factor * x[row * 4]);
        labels.push_back(absl::StrCat(factor));
      }
      InferResponse response;
      response.outputs.push_back(FloatTensor("p", {rows, 2}, p));
      response.outputs.push_back(StringTensor("label", {rows, 1}, labels));
      reply.body = EncodeInferResponse(response);
      return reply;
    });
  }

  // Logits of (even, odd, never) for row r: (0, r - 1.5, -100): rows 0 and 1 prefer even, 2 and up odd.
  void BuildRows(int k, const std::string& more = "") {
    const std::string gate = dir_.File("gate.safetensors");
    ASSERT_THAT(WriteSafetensors(gate,
                                 {{"weight", {3, 4}, {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
                                  {"bias", {3}, {0, -1.5f, -100}}},
                                 {{"experts", R"(["even","odd","never"])"}}),
                IsOk());
    Build(absl::StrCat(R"(
pools:
- name: pool
  granularity: ROW
  combiner: WEIGHTED_SUM
  features: {tensor_pooling: {input: x}}
  gate: {topk_softmax: {file: )", gate, ", k: ", k, R"(}}
  experts:
  - {name: even, replicas: [{address: "even:1"}]}
  - {name: odd, replicas: [{address: "odd:1"}]}
  - {name: never, replicas: [{address: "never:1"}]}
)", more));
  }
};

TEST_F(RowPipeline, EachRowHasItsOwnExpertAndOneGetsNone) {
  BuildRows(1);
  const InferReply reply = Ask(MakeRequest(4));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_THAT(Floats(reply, "p"), ElementsAre(0, 0, 1, 2, 20, 40, 30, 60));
  EXPECT_EQ(Text(reply, "penstock_experts"), "even,odd");
  EXPECT_EQ(Text(reply, "penstock_weights"), "0.5,0.5");
  EXPECT_TRUE(Target("never:1").calls().empty());
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader sent,
                       ScanInferRequest(Target("odd:1").calls()[0]->request()));
  EXPECT_THAT(sent.inputs[0].shape, ElementsAre(2, 4));
  EXPECT_EQ(sent.model_name, "odd");
}

TEST_F(RowPipeline, TwoExpertsOfARowAreSummedByWeight) {
  BuildRows(2);
  const InferReply reply = Ask(MakeRequest(2));
  ASSERT_THAT(reply.status, IsOk());
  const double odd = 1 / (1 + std::exp(0.5));  // row 1: logits 0 and -0.5
  EXPECT_NEAR(Floats(reply, "p")[2], (1 - odd) * 1 + odd * 10, 1e-5);
  EXPECT_NEAR(Floats(reply, "p")[3], 2 * ((1 - odd) * 1 + odd * 10), 1e-5);
}

TEST_F(RowPipeline, NoRowsAreAnAnswerWithoutRows) {
  BuildRows(1);
  const InferReply reply = Ask(MakeRequest(0));
  ASSERT_THAT(reply.status, IsOk());
  ASSERT_OK_AND_ASSIGN(const InferResponseHeader header, ScanInferResponse(reply.body));
  EXPECT_THAT(header.outputs[0].shape, ElementsAre(0, 2));
  EXPECT_TRUE(Target("even:1").calls().empty());
  EXPECT_EQ(Number(reply, "penstock_energy_j"), 0);
}

TEST_F(RowPipeline, MoreRowsThanAnExpertTakesGoInSeveralCalls) {
  BuildRows(1);
  const InferReply reply = Ask(MakeRequest(9));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Target("odd:1").calls().size(), 3u);  // rows 2 to 8, three a call
  EXPECT_EQ(Floats(reply, "p")[16], 80);
}

TEST_F(RowPipeline, UnderAJouleBudgetPairsAreDroppedButNeverARowsBest) {
  BuildRows(2);
  // Four pairs of 0.1 J each; the two that are their rows' best stay.
  const InferReply reply = Ask(MakeRequest(2, {{"penstock_energy_budget_j", 0.21}}));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Floats(reply, "p"), (std::vector<float>{0, 0, 1, 2}));
  EXPECT_EQ(Text(reply, "penstock_experts"), "even");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "(none)");  // the cap is the request's own
}

TEST_F(RowPipeline, ABudgetBelowTheRowsBestIsRefused) {
  BuildRows(1);
  EXPECT_THAT(Ask(MakeRequest(4, {{"penstock_energy_budget_j", 0.2}})).status,
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("0.4")));
}

TEST_F(RowPipeline, ADegradingPoolKeepsEachRowsBest) {
  BuildRows(1, "  on_infeasible: DEGRADE\n");
  const InferReply reply = Ask(MakeRequest(4, {{"penstock_energy_budget_j", 0.2}}));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_degraded"), "budget");
}

TEST_F(RowPipeline, RowsKeepTheirOtherExpertWhenOneFails) {
  BuildRows(2);
  Target("odd:1").AnswerWith({absl::InternalError("out of memory"), {}, {}});
  const InferReply reply = Ask(MakeRequest(2));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Floats(reply, "p"), (std::vector<float>{0, 0, 1, 2}));
  EXPECT_EQ(Text(reply, "penstock_degraded"), "expert_failed");
}

TEST_F(RowPipeline, ARowWithNobodyLeftFailsAndNamesTheExpert) {
  BuildRows(1);
  Target("odd:1").AnswerWith({absl::InternalError("out of memory"), {}, {}});
  EXPECT_THAT(Ask(MakeRequest(4)).status,
              StatusIs(StatusCode::kInternal, HasSubstr("odd")));
}

TEST_F(RowPipeline, AnUnhealthyExpertsRowsGoToTheNext) {
  BuildRows(1);
  Target("odd:1").SetHealthy(false);
  const InferReply reply = Ask(MakeRequest(4));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_THAT(Floats(reply, "p"), ElementsAre(0, 0, 1, 2, 2, 4, 3, 6));
}

TEST_F(RowPipeline, ForcedExpertsTakeAllRows) {
  BuildRows(1);
  const InferReply reply =
      Ask(MakeRequest(2, {{"penstock_experts", std::string("odd")}}), ForcedRights());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_THAT(Floats(reply, "p"), ElementsAre(0, 0, 10, 20));
}

TEST_F(RowPipeline, TheLatencyBudgetIsTheSlowestGroups) {
  BuildRows(1);
  EXPECT_THAT(Ask(MakeRequest(4, {{"penstock_latency_budget_ms", 1.0}})).status,
              StatusIs(StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace penstock::router
