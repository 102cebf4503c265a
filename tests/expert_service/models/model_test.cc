#include "expert_service/models/model.h"

#include "expert_service/models/model_repository.h"
#include "gmock/gmock.h"
#include "tests/expert_service/models/test_models.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kClassifier[] =
    "inputs { name: 'x' datatype: 'FP32' shape: 2 } "
    "outputs { name: 'p' datatype: 'FP32' shape: 2 block: 1 } "
    "outputs { name: 'label' datatype: 'BYTES' shape: 1 } "
    "blocks { linear {} } blocks { softmax {} } blocks { labels { names: ['no', 'yes'] } } "
    "batching { max_rows: 4 }";

absl::StatusOr<std::shared_ptr<const Model>> Classifier() {
  return MakeModel(kClassifier, {{"0.weight", {2, 2}, {1, 0, 0, 1}}});
}

absl::Status LoadError(const std::string& text, const std::vector<SafetensorsTensor>& tensors) {
  return MakeModel(text, tensors).status();
}

std::string WithBlocks(const std::string& blocks) {
  return "inputs { name: 'x' datatype: 'FP32' shape: 4 } "
         "outputs { name: 'y' datatype: 'FP32' shape: 4 } " +
         blocks;
}

TEST(ModelTest, GivesOutputsOfSeveralBlocks) {
  ASSERT_OK_AND_ASSIGN(const auto model, Classifier());
  ASSERT_OK_AND_ASSIGN(const ModelInputs inputs,
                       model->Accept({FloatTensor("x", {2, 2}, {0, 0, 0, 9})}));
  const auto outputs = RunTogether(*model, {inputs});
  EXPECT_EQ(outputs[0][0].name, "p");
  EXPECT_THAT(outputs[0][0].shape, ElementsAre(2, 2));
  EXPECT_THAT(ToStrings(outputs[0][1]), IsOkAndHolds(ElementsAre("no", "yes")));
}

TEST(ModelTest, RefusesWhatTheContractDoesNotAllow) {
  ASSERT_OK_AND_ASSIGN(const auto model, Classifier());
  const auto refuses = [&](std::vector<Tensor> inputs, const std::string& message) {
    EXPECT_THAT(model->Accept(std::move(inputs)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  const std::vector<float> eight(8), ten(10);
  refuses({}, "input x is missing");
  refuses({FloatTensor("y", {1, 2}, {1, 2})}, "unknown input \"y\", wanted: x");
  refuses({FloatTensor("x", {1, 2}, {1, 2}), FloatTensor("x", {1, 2}, {1, 2})}, "came twice");
  refuses({FloatTensor("x", {1, 3}, {1, 2, 3})}, "input x: wanted shape [-1,2], got [1,3]");
  refuses({FloatTensor("x", {2}, {1, 2})}, "wanted shape [-1,2], got [2]");
  refuses({FloatTensor("x", {0, 2}, {})}, "wanted 1 to 4 rows, got 0");
  refuses({FloatTensor("x", {5, 2}, ten)}, "wanted 1 to 4 rows, got 5");
  refuses({Tensor{"x", DataType::kInt32, {1, 2}, Bytes(std::string(8, '\0'))}},
          "input x: wanted datatype FP32, got INT32");
}

TEST(ModelTest, ReadsOtherNumericTypes) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel("inputs { name: 'x' datatype: 'UINT8' shape: 2 } "
                                 "outputs { name: 'y' datatype: 'FP32' shape: 1 } "
                                 "blocks { linear {} }",
                                 {{"0.weight", {1, 2}, {1, 2}}}));
  EXPECT_THAT(RunOne(*model, Tensor{"x", DataType::kUint8, {1, 2}, Bytes(std::string("\x03\xff"))}),
              ElementsAre(513));
}

TEST(ModelTest, NamesTheTensorThatDoesNotFit) {
  const std::string linear = WithBlocks("blocks { linear {} }");
  EXPECT_THAT(LoadError(linear, {{"0.weight", {4, 3}, Wave(12)}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("blocks[0] linear"), HasSubstr("0.weight"))));
  EXPECT_THAT(LoadError(linear, {{"1.weight", {4, 4}, Wave(16)}}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("0.weight")));
  EXPECT_THAT(LoadError(linear, {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("model.safetensors does not exist")));
}

TEST(ModelTest, RefusesTensorsThatNoBlockReads) {
  EXPECT_THAT(LoadError(WithBlocks("blocks { linear {} }"),
                        {{"0.weight", {4, 4}, Wave(16)}, {"0.biass", {4}, Wave(4)}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0.biass")));
}

TEST(ModelTest, RefusesContractsThatTheBlocksDoNotKeep) {
  const std::vector<SafetensorsTensor> weights = {{"0.weight", {3, 4}, Wave(12)}};
  EXPECT_THAT(LoadError(WithBlocks("blocks { linear {} }"), weights),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("outputs[0] y.shape: blocks[0] gives [3], found [4]")));
  EXPECT_THAT(LoadError("inputs { name: 'x' datatype: 'FP32' shape: 4 } "
                        "outputs { name: 'y' datatype: 'FP64' shape: 3 } blocks { linear {} }",
                        weights),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("gives FP32, found FP64")));
  EXPECT_THAT(
      LoadError("inputs { name: 'x' datatype: 'FP32' shape: 4 } "
                "outputs { name: 'y' datatype: 'FP32' shape: 3 block: 1 } "
                "blocks { linear {} }",
                weights),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("must be in [0, 0], found 1")));
}

TEST(ModelTest, RefusesBlocksThatDoNotFollow) {
  const auto refuses = [](const std::string& blocks, const std::string& message) {
    EXPECT_THAT(LoadError(WithBlocks(blocks), {}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  refuses("", "blocks is empty");
  refuses("blocks {}", "the block has no kind");
  refuses("blocks { mean_pool {} }", "wanted [rows, positions, dim], found [rows, 4]");
  refuses("blocks { softmax {} } blocks { identity {} }", "identity must be the only block");
  refuses("blocks { labels { names: ['a', 'b', 'c', 'd'] } } blocks { softmax {} }",
          "found labels");
  refuses("blocks { labels { names: ['a'] } }", "wanted [rows, 1], found [rows, 4]");
  refuses("blocks { average_pool { height: 2 width: 2 cell: 3 } }", "cell must divide");
  refuses("blocks { patches { height: 2 width: 2 patch: 3 stride: 1 } }",
          "patch must be in [1, 2]");
  refuses("blocks { shifted_views { height: 2 width: 2 shifts: [1] } }", "pairs of dy, dx");
  refuses("blocks { softmax {} } batching { max_rows: 0 }", "only identity may have 0");
  refuses("blocks { embedding {} }", "embedding takes INT32 or INT64, found FP32");
}

TEST(ModelTest, CountsTheWorkOfItsBlocks) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel("inputs { name: 'x' datatype: 'FP32' shape: 32 } "
                                 "outputs { name: 'y' datatype: 'FP32' shape: 16 } "
                                 "blocks { linear {} }",
                                 WaveWeights({{"0.weight", {16, 32}}})));
  const ModelWork one = model->Work(1, kNoPositions);
  EXPECT_DOUBLE_EQ(one.flops, 2 * 16 * 32);
  EXPECT_GE(one.weight_bytes, 16 * 32 * 4);
  EXPECT_DOUBLE_EQ(model->Work(8, kNoPositions).flops, 8 * one.flops);
  EXPECT_DOUBLE_EQ(model->Work(8, kNoPositions).weight_bytes, one.weight_bytes);
}

TEST(ModelTest, ViewsMultiplyTheWork) {
  const std::string linear = "blocks { linear {} }";
  const auto config = [&](const std::string& views) {
    return "inputs { name: 'x' datatype: 'FP32' shape: 4 } "
           "outputs { name: 'y' datatype: 'FP32' shape: 4 } " +
           views + linear;
  };
  ASSERT_OK_AND_ASSIGN(const auto plain,
                       MakeModel(config(""), WaveWeights({{"0.weight", {4, 4}}})));
  ASSERT_OK_AND_ASSIGN(
      const auto shifted,
      MakeModel(
          config("blocks { shifted_views { height: 2 width: 2 shifts: [0, 0, 1, 0, 0, 1] } } "),
          WaveWeights({{"1.weight", {4, 4}}})));
  EXPECT_DOUBLE_EQ(shifted->Work(1, 0).flops, 3 * plain->Work(1, 0).flops);
}

TEST(ModelTest, RefusesShapesThatNeedTooMuchMemory) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel("inputs { name: 'ids' datatype: 'INT32' shape: -1 } "
                                 "outputs { name: 'y' datatype: 'FP32' shape: 1024 } "
                                 "blocks { embedding {} } blocks { mean_pool {} }",
                                 WaveWeights({{"0.weight", {2, 1024}}})));
  constexpr int64_t kPositions = 300'000;  // times 1,024 floats: 1.2 GB from a 1.2 MB message
  EXPECT_THAT(
      model->Accept({Tensor{
          "ids", DataType::kInt32, {1, kPositions}, Bytes(std::string(kPositions * 4, '\0'))}}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bytes between blocks")));
}

constexpr char kYaml[] = R"(
inputs: [{name: x, datatype: FP32, shape: [2]}]
outputs: [{name: y, datatype: FP32, shape: [2]}]
blocks: [{softmax: {}}]
)";

TEST(ModelRepositoryTest, ServesTheLargestVersionUnlessAskedForAnother) {
  const TempDir root;
  root.Write("m/config.yaml", kYaml);
  for (const char* version : {"2", "10", "0", "notes"}) {
    root.Write(std::string("m/") + version + "/.keep", "");
  }
  ASSERT_OK_AND_ASSIGN(const auto repository, ModelRepository::Load(root.path(), {}));
  EXPECT_THAT(repository->Versions("m"), ElementsAre(2, 10));
  ASSERT_OK_AND_ASSIGN(const auto latest, repository->Find("m", ""));
  EXPECT_EQ(latest->version(), 10);
  ASSERT_OK_AND_ASSIGN(const auto second, repository->Find("m", "2"));
  EXPECT_EQ(second->version(), 2);
  EXPECT_THAT(repository->Find("m", "3"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("2, 10")));
  EXPECT_THAT(repository->Find("n", ""),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no model \"n\", there are: m")));
}

TEST(ModelRepositoryTest, ErrorsNameTheFile) {
  const TempDir root;
  EXPECT_THAT(ModelRepository::Load(root.path(), {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(root.path())));
  EXPECT_THAT(ModelRepository::Load(root.File("absent"), {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  root.Write("m/config.yaml", kYaml);
  EXPECT_THAT(ModelRepository::Load(root.path(), {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/m has no version folder")));
  EXPECT_THAT(ModelRepository::Load(root.path(), {"other"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no folder \"other\"")));
  root.Write("m/config.yaml", "blocks: [{linaer: {}}]");
  root.Write("m/1/.keep", "");
  EXPECT_THAT(ModelRepository::Load(root.path(), {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("/m/config.yaml"), HasSubstr("linaer"))));
}

TEST(ModelRepositoryTest, LoadsOnlyWhatIsListed) {
  const TempDir root;
  for (const char* name : {"a", "b"}) {
    root.Write(std::string(name) + "/config.yaml", kYaml);
    root.Write(std::string(name) + "/1/.keep", "");
  }
  ASSERT_OK_AND_ASSIGN(const auto repository, ModelRepository::Load(root.path(), {"b"}));
  ASSERT_EQ(repository->models().size(), 1u);
  EXPECT_EQ(repository->models()[0]->name(), "b");
}

}  // namespace
}  // namespace penstock::expert
