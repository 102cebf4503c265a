#include <cmath>

#include "gmock/gmock.h"
#include "tests/expert_service/models/test_models.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

// One input [width], one output of the shape given.
std::string Config(const std::string& in_shape, const std::string& out_shape,
                   const std::string& blocks) {
  return "inputs { name: 'x' datatype: 'FP32' " + in_shape +
         " } outputs { name: 'y' datatype: 'FP32' " + out_shape + " } " + blocks;
}

TEST(LinearBlockTest, MultipliesAndAddsTheBias) {
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel(Config("shape: 2", "shape: 3", "blocks { linear {} }"),
                {{"0.weight", {3, 2}, {1, 2, 3, 4, 5, 6}}, {"0.bias", {3}, {10, 20, 30}}}));
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 2}, {1, -1})), ElementsAre(9, 19, 29));
}

TEST(LinearBlockTest, AppliesToEachPosition) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel(Config("shape: [2, 2]", "shape: [2, 1]", "blocks { linear {} }"),
                                 {{"0.weight", {1, 2}, {1, 10}}}));
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 2, 2}, {1, 2, 3, 4})), ElementsAre(21, 43));
}

TEST(RmsNormBlockTest, DividesByTheRootMeanSquare) {
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(Config("shape: 2", "shape: 2",
                                                          "blocks { rms_norm { eps: 1e-9 } }"),
                                                   {{"0.weight", {2}, {1, 2}}}));
  // Root mean square of (1, 7) is 5.
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 2}, {1, 7})),
              ElementsAre(FloatNear(0.2f, 1e-6f), FloatNear(2.8f, 1e-5f)));
}

TEST(GatedMlpBlockTest, MultipliesTheActivatedGateWithUpAndAddsTheInput) {
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel(Config("shape: 1", "shape: 1", "blocks { gated_mlp { residual: true } }"),
                {{"0.gate", {1, 1}, {2}}, {"0.up", {1, 1}, {3}}, {"0.down", {1, 1}, {0.5}}}));
  const double silu = 2 / (1 + std::exp(-2.0));  // of gate 2 * 1
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 1}, {1})),
              ElementsAre(FloatNear(static_cast<float>(1 + 0.5 * silu * 3), 1e-5f)));
}

TEST(GatedMlpBlockTest, KnowsBothFormsOfGelu) {
  for (const auto& [name, gelu] :
       {std::pair("GEGLU_ERF", 0.5 * (1 + std::erf(1 / std::sqrt(2.0)))),
        std::pair("GEGLU_TANH", 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (1 + 0.044715))))}) {
    ASSERT_OK_AND_ASSIGN(
        const auto model,
        MakeModel(Config("shape: 1", "shape: 1",
                         std::string("blocks { gated_mlp { activation: ") + name + " } }"),
                  {{"0.gate", {1, 1}, {1}}, {"0.up", {1, 1}, {1}}, {"0.down", {1, 1}, {1}}}));
    EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 1}, {1})),
                ElementsAre(FloatNear(static_cast<float>(gelu), 1e-5f)))
        << name;
  }
}

TEST(GatedAttentionBlockTest, OfOnePositionIsTheGatedValueProjection) {
  // Attention over a single position has weight 1: y = o (v x * sigmoid(gate x)).
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel(Config("shape: [1, 2]", "shape: [1, 2]", "blocks { gated_attention { heads: 1 } }"),
                {{"0.q", {2, 2}, {1, 0, 0, 1}},
                 {"0.k", {2, 2}, {1, 0, 0, 1}},
                 {"0.v", {2, 2}, {1, 0, 0, 1}},
                 {"0.o", {2, 2}, {2, 0, 0, 2}},
                 {"0.gate", {1, 2}, {0, 0}}}));
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 1, 2}, {3, -4})),
              ElementsAre(FloatNear(3, 1e-5f), FloatNear(-4, 1e-5f)));
}

TEST(MeanPoolBlockTest, AveragesPositions) {
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel(Config("shape: [2, 2]", "shape: 2", "blocks { mean_pool {} }"), {}));
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 2, 2}, {1, 2, 5, 8})), ElementsAre(3, 5));
}

TEST(SoftmaxBlockTest, NormalisesOverTheLastDimension) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel(Config("shape: 2", "shape: 2", "blocks { softmax {} }"), {}));
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 2}, {0, std::log(3.0f)})),
              ElementsAre(FloatNear(0.25f, 1e-6f), FloatNear(0.75f, 1e-6f)));
}

TEST(MoeBlockTest, WeighsTheChosenExpertsAndAddsTheInput) {
  // d = f = 1, three experts with down 1, 10, 100; router logits 0, log 3, -9: experts 1 and 0
  // with weights 3/4 and 1/4.
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel(Config("shape: 1", "shape: 1", "blocks { moe { top_k: 2 residual: true } }"),
                {{"0.router", {3, 1}, {0, std::log(3.0f), -9}},
                 {"0.gate", {3, 1, 1}, {1, 1, 1}},
                 {"0.up", {3, 1, 1}, {1, 1, 1}},
                 {"0.down", {3, 1, 1}, {1, 10, 100}}}));
  const double silu = 1 / (1 + std::exp(-1.0));
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 1}, {1})),
              ElementsAre(FloatNear(static_cast<float>(1 + silu * (0.25 + 7.5)), 1e-5f)));
}

TEST(EmbeddingBlockTest, LooksIdsUp) {
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel("inputs { name: 'ids' datatype: 'INT64' shape: -1 } "
                "outputs { name: 'y' datatype: 'FP32' shape: [-1, 2] } blocks { embedding {} }",
                {{"0.weight", {3, 2}, {1, 2, 3, 4, 5, 6}}}));
  const int64_t ids[] = {2, 0};
  Tensor tensor{"ids",
                DataType::kInt64,
                {1, 2},
                Bytes(std::string(reinterpret_cast<const char*>(ids), sizeof(ids)))};
  EXPECT_THAT(RunOne(*model, tensor), ElementsAre(5, 6, 1, 2));
}

TEST(EmbeddingBlockTest, RefusesIdsOutOfRangeBeforeTheyReachABatch) {
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel("inputs { name: 'ids' datatype: 'INT32' shape: 1 } "
                "outputs { name: 'y' datatype: 'FP32' shape: [1, 2] } blocks { embedding {} }",
                {{"0.weight", {3, 2}, {1, 2, 3, 4, 5, 6}}}));
  for (const int32_t id : {-1, 3}) {
    Tensor tensor{"ids",
                  DataType::kInt32,
                  {1, 1},
                  Bytes(std::string(reinterpret_cast<const char*>(&id), sizeof(id)))};
    EXPECT_THAT(model->Accept({tensor}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("wanted ids in [0, 3)")));
  }
}

TEST(LabelsBlockTest, NamesTheLargestAndTheFirstOfEquals) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel("inputs { name: 'x' datatype: 'FP32' shape: 3 } "
                                 "outputs { name: 'label' datatype: 'BYTES' shape: 1 } "
                                 "blocks { labels { names: ['a', 'b', 'c'] } }",
                                 {}));
  std::vector<Tensor> inputs = {FloatTensor("x", {2, 3}, {1, 3, 3, 5, 2, 1})};
  ASSERT_OK_AND_ASSIGN(const ModelInputs accepted, model->Accept(std::move(inputs)));
  const auto outputs = RunTogether(*model, {accepted});
  EXPECT_THAT(ToStrings(outputs[0][0]), IsOkAndHolds(ElementsAre("b", "a")));
  EXPECT_THAT(outputs[0][0].shape, ElementsAre(2, 1));
}

TEST(PatchesBlockTest, CutsWholePatchesInRowMajorOrder) {
  // 3x3 image, patch 2, stride 1: four patches.
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel(Config("shape: 9", "shape: [4, 4]",
                       "blocks { patches { height: 3 width: 3 patch: 2 stride: 1 } }"),
                {}));
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 9}, {1, 2, 3, 4, 5, 6, 7, 8, 9})),
              ElementsAre(1, 2, 4, 5, 2, 3, 5, 6, 4, 5, 7, 8, 5, 6, 8, 9));
}

TEST(PatchesBlockTest, EmbedsWithBiasAndPosition) {
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel(
          Config("shape: 4", "shape: [2, 1]",
                 "blocks { patches { height: 1 width: 4 patch: 1 stride: 3 } }"),
          {{"0.weight", {1, 1}, {2}}, {"0.bias", {1}, {100}}, {"0.position", {2, 1}, {0, 1000}}}));
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 4}, {1, 2, 3, 4})), ElementsAre(102, 1108));
}

TEST(ShiftedViewsBlockTest, ShiftsInZerosAndAveragesTheAnswers) {
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel(Config("shape: 4", "shape: 4",
                       "blocks { shifted_views { height: 2 width: 2 shifts: [0, 0, 1, 0] } }"),
                {}));
  // The image itself and the image one down.
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 4}, {2, 4, 6, 8})), ElementsAre(1, 2, 4, 6));
}

TEST(ShiftedViewsBlockTest, LabelsSeeTheMean) {
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel("inputs { name: 'x' datatype: 'FP32' shape: 2 } "
                "outputs { name: 'label' datatype: 'BYTES' shape: 1 } "
                "blocks { shifted_views { height: 1 width: 2 shifts: [0, 0, 0, 1, 0, 1] } } "
                "blocks { labels { names: ['left', 'right'] } }",
                {}));
  // Views (4, 1), (0, 4), (0, 4): the mean is largest on the right, the first view on the left.
  std::vector<Tensor> inputs = {FloatTensor("x", {1, 2}, {4, 1})};
  ASSERT_OK_AND_ASSIGN(const ModelInputs accepted, model->Accept(std::move(inputs)));
  EXPECT_THAT(ToStrings(RunTogether(*model, {accepted})[0][0]), IsOkAndHolds(ElementsAre("right")));
}

TEST(AveragePoolBlockTest, AveragesSquareCells) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel(Config("shape: 8", "shape: 2",
                                        "blocks { average_pool { height: 2 width: 4 cell: 2 } }"),
                                 {}));
  EXPECT_THAT(RunOne(*model, FloatTensor("x", {1, 8}, {1, 2, 5, 6, 3, 4, 7, 10})),
              ElementsAre(2.5f, 7));
}

TEST(IdentityTest, ReturnsAllTensorsByteForByte) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel("inputs { name: 'a' datatype: 'BYTES' shape: -1 } "
                                 "inputs { name: 'b' datatype: 'INT8' shape: [-1, 2] } "
                                 "outputs { name: 'c' datatype: 'BYTES' shape: -1 } "
                                 "outputs { name: 'd' datatype: 'INT8' shape: [-1, 2] } "
                                 "blocks { identity {} } batching { max_rows: 0 }",
                                 {}));
  const Tensor a = StringTensor("a", {2}, {"one", ""});
  const Tensor b{"b", DataType::kInt8, {1, 2}, Bytes(std::string("\x01\xff"))};
  ASSERT_OK_AND_ASSIGN(const ModelInputs accepted, model->Accept({b, a}));
  const auto outputs = RunTogether(*model, {accepted});
  EXPECT_EQ(outputs[0][0].name, "c");
  EXPECT_EQ(outputs[0][0].data, a.data);
  EXPECT_EQ(outputs[0][1].name, "d");
  EXPECT_EQ(outputs[0][1].data, b.data);
}

// Every block, in models whose rows are then run alone and together.
struct InvarianceCase {
  std::string name;
  std::string in_shape;
  std::string out_shape;
  std::string blocks;
  std::vector<NamedWeights> weights;
  std::vector<int64_t> shape;  // of one row
};

class BatchInvarianceTest : public ::testing::TestWithParam<InvarianceCase> {};

TEST_P(BatchInvarianceTest, ARowIsTheSameBitsAloneAndInAnyBatch) {
  const InvarianceCase& c = GetParam();
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(Config(c.in_shape, c.out_shape,
                                                          c.blocks + " batching { max_rows: 64 }"),
                                                   WaveWeights(c.weights)));
  int64_t per_row = 1;
  for (const int64_t dimension : c.shape) per_row *= dimension;
  constexpr int64_t kRows = 23;  // a multiple of no tile
  const std::vector<float> values = Wave(per_row * kRows, 1.5f);
  std::vector<int64_t> shape = {1};
  shape.insert(shape.end(), c.shape.begin(), c.shape.end());

  std::vector<ModelInputs> requests;
  std::vector<Bytes> alone;
  for (int64_t first = 0; first < kRows;) {
    const int64_t rows = std::min<int64_t>(1 + first % 3, kRows - first);
    shape[0] = rows;
    ASSERT_OK_AND_ASSIGN(
        ModelInputs inputs,
        model->Accept({FloatTensor(
            "x", shape, absl::MakeConstSpan(values).subspan(first * per_row, rows * per_row))}));
    Bytes one_by_one;
    for (int64_t row = 0; row < rows; ++row) {
      ASSERT_OK_AND_ASSIGN(Tensor single, SliceRows(inputs.tensors[0], row, 1));
      ASSERT_OK_AND_ASSIGN(ModelInputs of_one, model->Accept({single}));
      one_by_one.Append(RunTogether(*model, {of_one})[0][0].data);
    }
    alone.push_back(one_by_one);
    requests.push_back(std::move(inputs));
    first += rows;
  }
  const auto together = RunTogether(*model, requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(together[i][0].data, alone[i]) << "request " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Blocks, BatchInvarianceTest,
    ::testing::Values(
        InvarianceCase{"linear",
                       "shape: 37",
                       "shape: 19",
                       "blocks { linear {} }",
                       {{"0.weight", {19, 37}}, {"0.bias", {19}}},
                       {37}},
        InvarianceCase{"rms_norm",
                       "shape: 37",
                       "shape: 37",
                       "blocks { rms_norm {} }",
                       {{"0.weight", {37}}},
                       {37}},
        InvarianceCase{
            "gated_mlp",
            "shape: 24",
            "shape: 24",
            "blocks { gated_mlp { norm: true residual: true } }",
            {{"0.gate", {40, 24}}, {"0.up", {40, 24}}, {"0.down", {24, 40}}, {"0.norm", {24}}},
            {24}},
        InvarianceCase{"geglu",
                       "shape: 24",
                       "shape: 9",
                       "blocks { gated_mlp { activation: GEGLU_TANH } }",
                       {{"0.gate", {40, 24}}, {"0.up", {40, 24}}, {"0.down", {9, 40}}},
                       {24}},
        InvarianceCase{"attention_head_wise",
                       "shape: [11, 16]",
                       "shape: [11, 16]",
                       "blocks { gated_attention { heads: 2 norm: true residual: true } }",
                       {{"0.q", {16, 16}},
                        {"0.k", {16, 16}},
                        {"0.v", {16, 16}},
                        {"0.o", {16, 16}},
                        {"0.gate", {2, 16}},
                        {"0.norm", {16}}},
                       {11, 16}},
        InvarianceCase{"attention_element_wise",
                       "shape: [11, 16]",
                       "shape: [11, 16]",
                       "blocks { gated_attention { heads: 2 } }",
                       {{"0.q", {16, 16}},
                        {"0.k", {16, 16}},
                        {"0.v", {16, 16}},
                        {"0.o", {16, 16}},
                        {"0.gate", {16, 16}}},
                       {11, 16}},
        InvarianceCase{"moe",
                       "shape: 24",
                       "shape: 24",
                       "blocks { moe { top_k: 2 norm: true residual: true } }",
                       {{"0.router", {5, 24}},
                        {"0.gate", {5, 20, 24}},
                        {"0.up", {5, 20, 24}},
                        {"0.down", {5, 24, 20}},
                        {"0.norm", {24}}},
                       {24}},
        InvarianceCase{"softmax", "shape: 37", "shape: 37", "blocks { softmax {} }", {}, {37}},
        InvarianceCase{
            "mean_pool", "shape: [7, 5]", "shape: 5", "blocks { mean_pool {} }", {}, {7, 5}},
        InvarianceCase{"average_pool",
                       "shape: 36",
                       "shape: 9",
                       "blocks { average_pool { height: 6 width: 6 cell: 2 } }",
                       {},
                       {36}},
        InvarianceCase{"patches",
                       "shape: 36",
                       "shape: [9, 7]",
                       "blocks { patches { height: 6 width: 6 patch: 2 stride: 2 } }",
                       {{"0.weight", {7, 4}}, {"0.bias", {7}}, {"0.position", {9, 7}}},
                       {36}},
        InvarianceCase{
            "shifted_views",
            "shape: 36",
            "shape: 8",
            "blocks { shifted_views { height: 6 width: 6 shifts: [0, 0, 1, -1, -2, 0] } } "
            "blocks { linear {} } blocks { softmax {} }",
            {{"1.weight", {8, 36}}},
            {36}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace penstock::expert
