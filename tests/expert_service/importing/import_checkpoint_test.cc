// Checkpoints of each layout, imported, loaded through the model repository, and compared with what
// their layers are defined to answer.

#include "expert_service/importing/import_checkpoint.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "expert_service/models/model_repository.h"
#include "expert_service/quantization/quantize_model.h"
#include "gmock/gmock.h"
#include "tests/expert_service/importing/hf_checkpoint.h"
#include "tests/expert_service/models/test_models.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kDim = HfCheckpoint::kDim, kRows = 17;

// Exact in bfloat16, so that the router's scores are those of exact products everywhere.
std::vector<float> Inputs() {
  std::vector<float> values(kRows * kDim);
  CounterRandom random(11, 0);
  for (float& value : values) value = static_cast<float>(random.Below(255)) / 64 - 2;
  return values;
}
std::vector<double> Row(int64_t row) {
  const std::vector<float> all = Inputs();
  return {all.begin() + row * kDim, all.begin() + (row + 1) * kDim};
}

template <typename Expected>
double Error(const Model& model, const Expected& expected) {
  const std::vector<float> got = RunOne(model, FloatTensor("hidden", {kRows, kDim}, Inputs()));
  std::vector<double> wanted;
  for (int64_t row = 0; row < kRows; ++row) {
    const std::vector<double> y = expected(Row(row));
    wanted.insert(wanted.end(), y.begin(), y.end());
  }
  return RelativeError(got, wanted);
}

struct ImportCase {
  std::string model_type;
  std::string dtype;
  bool renormalize = false;
  int shards = 1;
};

class ImportTest : public testing::TestWithParam<ImportCase> {
 protected:
  HfCheckpoint Make() const {
    HfCheckpoint checkpoint(GetParam().model_type, GetParam().dtype);
    if (checkpoint.config.contains("norm_topk_prob")) {
      checkpoint.config["norm_topk_prob"] = GetParam().renormalize;
    }
    return checkpoint;
  }
  // float32 sums of float32 or float16 weights; hidden vectors rounded to bfloat16 where a CPU
  // multiplies in that.
  double Tolerance() const { return GetParam().dtype == "BF16" ? 5e-3 : 1e-5; }
  ImportOptions Options() const {
    ImportOptions options;
    options.checkpoint = from_.path();
    options.repository = to_.File("models");
    return options;
  }

  const TempDir from_, to_;
};

TEST_P(ImportTest, WholeLayersAnswerAsDefined) {
  const HfCheckpoint checkpoint = Make();
  checkpoint.Write(from_, GetParam().shards);
  ASSERT_OK_AND_ASSIGN(const ImportReport report, ImportCheckpoint(Options()));
  EXPECT_EQ(report.layers.size(), static_cast<size_t>(HfCheckpoint::kLayers));
  ASSERT_OK_AND_ASSIGN(const auto repository, ModelRepository::Load(to_.File("models"), {}));
  for (int64_t layer = 0; layer < HfCheckpoint::kLayers; ++layer) {
    ASSERT_OK_AND_ASSIGN(
        const auto model,
        repository->Find(absl::StrCat(GetParam().model_type, "-layer", layer), ""));
    const ReferenceMoe moe = checkpoint.Reference(layer);
    EXPECT_LT(Error(*model, [&](const auto& x) { return RunReference(moe, x); }), Tolerance());
  }
  EXPECT_EQ(repository->models().size(), static_cast<size_t>(HfCheckpoint::kLayers));
}

TEST_P(ImportTest, WeightsKeepTheirTypeAndTheirBytes) {
  const HfCheckpoint checkpoint = Make();
  checkpoint.Write(from_, GetParam().shards);
  ImportOptions options = Options();
  options.layers = {1};
  ASSERT_TRUE(ImportCheckpoint(options).ok());
  ASSERT_OK_AND_ASSIGN(const auto file,
                       Safetensors::Open(to_.File(absl::StrCat("models/", GetParam().model_type,
                                                               "-layer1/1/model.safetensors"))));
  std::string down;
  for (int64_t e = 0; e < HfCheckpoint::kExperts; ++e) {
    down += checkpoint.tensors.at(checkpoint.Name(1, e, "down")).raw;
  }
  ASSERT_NE(file->Find("0.down"), nullptr);
  EXPECT_EQ(file->Find("0.down")->dtype, GetParam().dtype);
  EXPECT_TRUE(file->Find("0.down")->data == down);
  EXPECT_THAT(file->Find("0.down")->shape,
              ElementsAre(HfCheckpoint::kExperts, kDim, HfCheckpoint::kWidth));
}

TEST_P(ImportTest, SingleExpertsAndTheirGateMakeTheLayer) {
  const HfCheckpoint checkpoint = Make();
  checkpoint.Write(from_, GetParam().shards);
  ImportOptions options = Options();
  options.as = ImportAs::kExperts;
  options.layers = {2};
  options.name = "x";
  ASSERT_OK_AND_ASSIGN(const ImportReport report, ImportCheckpoint(options));
  ASSERT_OK_AND_ASSIGN(const auto repository, ModelRepository::Load(to_.File("models"), {}));
  const ReferenceMoe moe = checkpoint.Reference(2);
  for (size_t e = 0; e < moe.experts.size(); ++e) {
    ASSERT_OK_AND_ASSIGN(const auto model,
                         repository->Find(absl::StrCat("x-layer2-expert", e), ""));
    EXPECT_LT(Error(*model,
                    [&](const auto& x) { return RunReference(moe.experts[e], moe.activation, x); }),
              Tolerance());
  }
  // What a pool's gate reads: [experts, d], and whose rows they are.
  ASSERT_OK_AND_ASSIGN(const auto gate,
                       Safetensors::Open(to_.File("models/x-layer2.gate.safetensors")));
  EXPECT_EQ(nlohmann::json::parse(gate->metadata().at("experts")),
            nlohmann::json(report.layers[0].models));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> weight,
                       gate->Floats("weight", {HfCheckpoint::kExperts, kDim}));
  EXPECT_EQ(std::vector<double>(weight.begin(), weight.end()), moe.router);

  EXPECT_EQ(report.layers[0].shared_model.empty(), !moe.shared.has_value());
  if (!moe.shared) return;
  ASSERT_OK_AND_ASSIGN(const auto shared, repository->Find("x-layer2-shared", ""));
  EXPECT_LT(Error(*shared,
                  [&](const auto& x) {
                    std::vector<double> y = RunReference(*moe.shared, moe.activation, x);
                    const double weight = Sigmoid(Times(moe.shared_weight, x)[0]);
                    for (double& each : y) each *= weight;
                    return y;
                  }),
            Tolerance());
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, ImportTest,
    testing::Values(ImportCase{"mixtral", "BF16", true, 1}, ImportCase{"mixtral", "F32", true, 3},
                    ImportCase{"olmoe", "F32", false, 1}, ImportCase{"olmoe", "BF16", true, 2},
                    ImportCase{"qwen2_moe", "F16", false, 4},
                    ImportCase{"qwen2_moe", "BF16", false, 1},
                    ImportCase{"qwen3_moe", "BF16", true, 5},
                    ImportCase{"qwen3_moe", "F32", false, 1}),
    [](const auto& info) {
      return absl::StrCat(info.param.model_type, "_", info.param.dtype, "_", info.param.shards,
                          info.param.renormalize ? "_normalised" : "");
    });

ImportOptions OptionsOf(const TempDir& from, const TempDir& to) {
  ImportOptions options;
  options.checkpoint = from.path();
  options.repository = to.path();
  return options;
}

TEST(ImportCheckpointTest, TheNormBeforeTheLayerHasItsOwnEps) {
  HfCheckpoint checkpoint("olmoe", "F32");
  checkpoint.config["rms_norm_eps"] = 0.25;  // so large that leaving it out would show
  const TempDir from, to;
  checkpoint.Write(from);
  ImportOptions options = OptionsOf(from, to);
  options.norm = true;
  options.layers = {0};
  ASSERT_TRUE(ImportCheckpoint(options).ok());
  ASSERT_OK_AND_ASSIGN(const auto repository, ModelRepository::Load(to.path(), {}));
  const ReferenceMoe moe = checkpoint.Reference(0);
  const std::vector<double> norm =
      checkpoint.Values("model.layers.0.post_attention_layernorm.weight");
  EXPECT_LT(Error(*repository->models()[0],
                  [&](const auto& x) { return RunReference(moe, ReferenceNorm(x, norm, 0.25)); }),
            1e-5);
}

TEST(ImportCheckpointTest, DenseLayersAreLeftOut) {
  HfCheckpoint checkpoint("qwen3_moe", "BF16");
  checkpoint.config["decoder_sparse_step"] = 2;  // layers 1, 3, ...
  const TempDir from, to;
  checkpoint.Write(from);
  ImportOptions options = OptionsOf(from, to);
  ASSERT_OK_AND_ASSIGN(const ImportReport report, ImportCheckpoint(options));
  ASSERT_EQ(report.layers.size(), 1u);
  EXPECT_EQ(report.layers[0].layer, 1);
  EXPECT_EQ(report.dense_layers, 2);
  options.overwrite = true;
  options.layers = {0};
  EXPECT_THAT(ImportCheckpoint(options).status().message(), HasSubstr("layer: 0 has no experts"));
  checkpoint.config["mlp_only_layers"] = {1};
  checkpoint.Write(from);
  options.layers = {};
  EXPECT_THAT(ImportCheckpoint(options).status().message(), HasSubstr("no layer has experts"));
}

TEST(ImportCheckpointTest, OnlyTheShardsOfALayerNeedBeThere) {
  const HfCheckpoint checkpoint("mixtral", "BF16");
  const TempDir from, to;
  checkpoint.Write(from, static_cast<int>(checkpoint.tensors.size()));  // a shard a tensor
  int removed = 0, shard = 0;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    const std::string file =
        HfCheckpoint::ShardName(shard++, static_cast<int>(checkpoint.tensors.size()));
    if (name.find("layers.1.block_sparse_moe") == std::string::npos) {
      removed += fs::remove(from.File(file)) ? 1 : 0;
    }
  }
  ASSERT_GT(removed, 0);
  ImportOptions options = OptionsOf(from, to);
  options.layers = {1};
  EXPECT_THAT(ImportCheckpoint(options), IsOk());
  options.layers = {2};
  EXPECT_THAT(ImportCheckpoint(options), StatusIs(absl::StatusCode::kNotFound, HasSubstr("-of-")));
}

TEST(ImportCheckpointTest, WhatIsThereIsKeptUnlessAskedOtherwise) {
  const HfCheckpoint checkpoint("mixtral", "BF16");
  const TempDir from, to;
  checkpoint.Write(from);
  ImportOptions options = OptionsOf(from, to);
  options.layers = {1};
  ASSERT_TRUE(ImportCheckpoint(options).ok());
  const std::string weights = to.Read("mixtral-layer1/1/model.safetensors");
  to.Write("mixtral-layer1/config.yaml", "mine");

  options.layers = {0, 1};
  EXPECT_THAT(ImportCheckpoint(options),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("mixtral-layer1 is there")));
  EXPECT_EQ(to.Read("mixtral-layer1/config.yaml"), "mine");
  EXPECT_FALSE(fs::exists(to.File("mixtral-layer0"))) << "all is checked before any is written";

  options.overwrite = true;
  EXPECT_THAT(ImportCheckpoint(options), IsOk());
  EXPECT_EQ(to.Read("mixtral-layer1/1/model.safetensors"), weights);
  EXPECT_THAT(to.Read("mixtral-layer1/config.yaml"), HasSubstr("top_k: 2"));

  // A second version would be read by the other's configuration.
  to.Write("mixtral-layer1/2/model.safetensors", "mine");
  EXPECT_THAT(ImportCheckpoint(options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("to overwrite, found 2")));
  EXPECT_EQ(to.Read("mixtral-layer1/2/model.safetensors"), "mine");
  // A link is not followed out of the repository.
  const TempDir elsewhere;
  fs::remove_all(to.File("mixtral-layer1"));
  fs::create_directory_symlink(elsewhere.path(), to.File("mixtral-layer1"));
  EXPECT_THAT(ImportCheckpoint(options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("found something else")));
  EXPECT_TRUE(fs::is_empty(elsewhere.path()));
}

TEST(ImportCheckpointTest, NothingButModelsIsLeftInTheRepository) {
  const HfCheckpoint checkpoint("olmoe", "BF16");
  const TempDir from, to;
  checkpoint.Write(from);
  double last = 0;
  ImportOptions options = OptionsOf(from, to);
  options.as = ImportAs::kExperts;
  options.progress = [&](double done) {
    EXPECT_GE(done, last);
    last = done;
  };
  ASSERT_TRUE(ImportCheckpoint(options).ok());
  EXPECT_EQ(last, 1);
  int entries = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(to.path())) {
    EXPECT_THAT(entry.path().filename().string(), testing::StartsWith("olmoe-layer"));
    ++entries;
  }
  EXPECT_EQ(entries, HfCheckpoint::kLayers * (HfCheckpoint::kExperts + 1));
}

TEST(ImportCheckpointTest, AnImportedLayerIsQuantisedItsSharedExpertToo) {
  const HfCheckpoint checkpoint("qwen2_moe", "BF16");
  const TempDir from, to;
  checkpoint.Write(from);
  ImportOptions import = OptionsOf(from, to);
  import.layers = {0};
  ASSERT_TRUE(ImportCheckpoint(import).ok());
  const config::v1::Model config = ModelConfigOf(
      "inputs { name: 'hidden' datatype: 'FP32' shape: 20 } "
      "outputs { name: 'output' datatype: 'FP32' shape: 20 } "
      "blocks { moe { top_k: 2 renormalize: false } }");
  ASSERT_OK_AND_ASSIGN(const auto file,
                       Safetensors::Open(to.File("qwen2_moe-layer0/1/model.safetensors")));
  QuantizeOptions options;
  options.format = kernels::WeightFormat::kInt8;
  ASSERT_OK_AND_ASSIGN(const QuantizedModel quantized, QuantizeModel(config, *file, options));
  EXPECT_EQ(quantized.units.size(), 2u * (HfCheckpoint::kExperts + 1));
  ASSERT_OK_AND_ASSIGN(const std::string bytes,
                       SafetensorsBytes(quantized.tensors, quantized.metadata));
  ASSERT_OK_AND_ASSIGN(const auto small, Safetensors::Parse(bytes));
  EXPECT_TRUE(small->Find("0.shared_down.codes") != nullptr);
  ASSERT_OK_AND_ASSIGN(const auto model, Model::Create(config, "q", 1, small.get(), "q"));
  const ReferenceMoe moe = checkpoint.Reference(0);
  // int8: a step of 1/254 of a row's largest weight, in three matrices.
  EXPECT_LT(Error(*model, [&](const auto& x) { return RunReference(moe, x); }), 2e-2);
}

}  // namespace
}  // namespace penstock::expert
