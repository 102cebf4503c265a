// The moe and gated_mlp blocks against their definitions in float64.

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "gmock/gmock.h"
#include "tests/expert_service/models/moe_reference.h"
#include "tests/expert_service/models/test_models.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using ::testing::HasSubstr;

// Multiples of no vector width.
constexpr int64_t kDim = 21, kWidth = 37, kShared = 13, kExperts = 7, kRows = 19;
// Sums of some 40 products in float32.
constexpr double kTolerance = 1e-5;

double Clamped(double gate, double up) {
  const double g = std::min(gate, 7.0);
  return g * Sigmoid(1.702 * g) * (std::clamp(up, -7.0, 7.0) + 1);
}
double ReGluSquared(double gate, double up) { return std::pow(std::max(gate, 0.0), 2) * up; }
double GeGluErf(double gate, double up) { return gate / 2 * std::erfc(-gate / std::sqrt(2)) * up; }
double GeGluTanh(double gate, double up) {
  const double inner = std::sqrt(2 / M_PI) * (gate + 0.044715 * gate * gate * gate);
  return gate / 2 * (1 + std::tanh(inner)) * up;
}

struct NamedActivation {
  std::string name;
  ReferenceActivation activation;
};

std::vector<NamedActivation> Activations() {
  return {{"SWIGLU", ReferenceSwiGlu},
          {"GEGLU_TANH", GeGluTanh},
          {"GEGLU_ERF", GeGluErf},
          {"REGLU_SQUARED", ReGluSquared},
          {"SWIGLU_CLAMPED", Clamped}};
}

std::vector<double> Doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

std::string Config(const std::string& block, int64_t out = kDim) {
  return absl::Substitute(
      "inputs { name: 'x' datatype: 'FP32' shape: $0 } "
      "outputs { name: 'y' datatype: 'FP32' shape: $1 } blocks { $2 } batching { max_rows: 64 }",
      kDim, out, block);
}

// Tensors of a layer; the router's are large enough that scores differ.
class Layer {
 public:
  Layer() {
    Add("router", {kExperts, kDim}, 1.0f);
    Add("gate", {kExperts, kWidth, kDim}, 0.9f);
    Add("up", {kExperts, kWidth, kDim}, 0.8f);
    Add("down", {kExperts, kDim, kWidth}, 0.3f);
  }
  Layer& Add(const std::string& name, const std::vector<int64_t>& shape, float scale) {
    int64_t count = 1;
    for (const int64_t dimension : shape) count *= dimension;
    tensors_.push_back({absl::StrCat("0.", name), shape,
                        Wave(count, scale, 1.3f * static_cast<float>(tensors_.size()))});
    return *this;
  }
  Layer& AddShared() {
    return Add("shared_gate", {kShared, kDim}, 0.7f)
        .Add("shared_up", {kShared, kDim}, 0.6f)
        .Add("shared_down", {kDim, kShared}, 0.4f);
  }
  SafetensorsTensor& operator[](const std::string& name) {
    for (SafetensorsTensor& tensor : tensors_) {
      if (tensor.name == absl::StrCat("0.", name)) return tensor;
    }
    ADD_FAILURE() << name;
    return tensors_[0];
  }
  std::vector<double> Part(const std::string& name, int64_t part, int64_t parts) {
    const std::vector<float>& all = (*this)[name].values;
    const auto size = static_cast<int64_t>(all.size()) / parts;
    return {all.begin() + part * size, all.begin() + (part + 1) * size};
  }
  // What every field unset means.
  ReferenceMoe Reference(size_t top_k) {
    ReferenceMoe moe;
    moe.top_k = top_k;
    moe.router = Doubles((*this)["router"].values);
    for (int64_t e = 0; e < kExperts; ++e) {
      moe.experts.push_back(
          {Part("gate", e, kExperts), Part("up", e, kExperts), Part("down", e, kExperts)});
    }
    return moe;
  }
  ReferenceMlp Shared() {
    return {Part("shared_gate", 0, 1), Part("shared_up", 0, 1), Part("shared_down", 0, 1)};
  }
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }

 private:
  std::vector<SafetensorsTensor> tensors_;
};

std::vector<float> Inputs() { return Wave(kRows * kDim, 1.7f, 0.4f); }

std::vector<double> Row(int64_t row) {
  const std::vector<float> all = Inputs();
  return {all.begin() + row * kDim, all.begin() + (row + 1) * kDim};
}

// The model's answers to Inputs() against `expected` of each row.
void ExpectAnswers(const std::string& block, const std::vector<SafetensorsTensor>& tensors,
                   const std::function<std::vector<double>(const std::vector<double>&)>& expected) {
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(Config(block), tensors));
  const std::vector<float> got = RunOne(*model, FloatTensor("x", {kRows, kDim}, Inputs()));
  std::vector<double> wanted;
  for (int64_t row = 0; row < kRows; ++row) {
    const std::vector<double> y = expected(Row(row));
    wanted.insert(wanted.end(), y.begin(), y.end());
  }
  EXPECT_LT(RelativeError(got, wanted), kTolerance) << block;
}

TEST(GatedMlpActivationTest, EachIsItsFormula) {
  for (const NamedActivation& each : Activations()) {
    // Gates up to 20 and below -20: clamps bind.
    const std::vector<SafetensorsTensor> tensors = {
        {"0.gate", {kWidth, kDim}, Wave(kWidth * kDim, 3.0f)},
        {"0.up", {kWidth, kDim}, Wave(kWidth * kDim, 2.5f, 1)},
        {"0.down", {kDim, kWidth}, Wave(kWidth * kDim, 0.3f, 2)}};
    const ReferenceMlp mlp = {Doubles(tensors[0].values), Doubles(tensors[1].values),
                              Doubles(tensors[2].values)};
    ExpectAnswers(
        absl::StrCat("gated_mlp { activation: ", each.name, " }"), tensors,
        [&](const std::vector<double>& x) { return RunReference(mlp, each.activation, x); });
  }
}

TEST(MoeBlockReferenceTest, EachActivationIsItsFormula) {
  Layer layer;
  for (const auto& [name, activation] : Activations()) {
    ReferenceMoe moe = layer.Reference(2);
    moe.activation = activation;
    ExpectAnswers(absl::StrCat("moe { top_k: 2 activation: ", name, " }"), layer.tensors(),
                  [&](const std::vector<double>& x) { return RunReference(moe, x); });
  }
}

struct RouterCase {
  std::string fields;
  bool sigmoid;
  bool bias;
  bool renormalize;
  double scale;
};

class MoeRouterTest : public testing::TestWithParam<RouterCase> {};

TEST_P(MoeRouterTest, ChoosesAndWeighsByItsFormula) {
  const RouterCase& c = GetParam();
  Layer layer;
  if (c.bias) layer.Add("router_bias", {kExperts}, 0.8f);
  ReferenceMoe moe = layer.Reference(3);
  moe.sigmoid = c.sigmoid;
  moe.renormalize = c.renormalize;
  moe.scale = c.scale;
  if (c.bias) moe.bias = Doubles(layer["router_bias"].values);
  ExpectAnswers(absl::StrCat("moe { top_k: 3 ", c.fields, " }"), layer.tensors(),
                [&](const std::vector<double>& x) { return RunReference(moe, x); });
}

INSTANTIATE_TEST_SUITE_P(
    Fields, MoeRouterTest,
    testing::Values(RouterCase{"", false, false, true, 1},
                    RouterCase{"renormalize: false", false, false, false, 1},
                    RouterCase{"renormalize: false scale: 2.5", false, false, false, 2.5},
                    RouterCase{"", false, true, true, 1},
                    RouterCase{"score: SIGMOID", true, false, true, 1},
                    RouterCase{"score: SIGMOID renormalize: false", true, false, false, 1},
                    RouterCase{"score: SIGMOID scale: 1.5", true, true, true, 1.5}));

TEST(MoeBlockReferenceTest, ABiasChangesTheChoiceAndNotTheWeights) {
  // The expert whose score is least in the first row is chosen in all.
  Layer layer;
  layer.Add("router_bias", {kExperts}, 0);
  ReferenceMoe moe = layer.Reference(1);
  const std::vector<double> scores = Times(moe.router, Row(0));
  const auto least = std::min_element(scores.begin(), scores.end()) - scores.begin();
  layer["router_bias"].values[static_cast<size_t>(least)] = 100;
  moe.renormalize = false;
  moe.bias = Doubles(layer["router_bias"].values);
  ReferenceMoe without = moe;
  without.bias.clear();
  EXPECT_NE(RunReference(moe, Row(0)), RunReference(without, Row(0)));
  ExpectAnswers("moe { top_k: 1 renormalize: false }", layer.tensors(),
                [&](const std::vector<double>& x) { return RunReference(moe, x); });
}

TEST(MoeBlockReferenceTest, TheSharedExpertIsAddedToEveryRow) {
  Layer layer;
  layer.AddShared();
  ReferenceMoe moe = layer.Reference(2);
  moe.shared = layer.Shared();
  ExpectAnswers("moe { top_k: 2 }", layer.tensors(),
                [&](const std::vector<double>& x) { return RunReference(moe, x); });
}

TEST(MoeBlockReferenceTest, TheSharedExpertIsScaledNormedAndLeavesTheResidual) {
  Layer layer;
  layer.AddShared().Add("shared_weight", {1, kDim}, 0.5f).Add("norm", {kDim}, 0.9f);
  ReferenceMoe moe = layer.Reference(2);
  moe.shared = layer.Shared();
  moe.shared_weight = Doubles(layer["shared_weight"].values);
  const std::vector<double> norm = Doubles(layer["norm"].values);
  ExpectAnswers("moe { top_k: 2 norm: true residual: true }", layer.tensors(),
                [&](const std::vector<double>& x) {
                  std::vector<double> y = RunReference(moe, ReferenceNorm(x, norm, 1e-6));
                  for (size_t i = 0; i < y.size(); ++i) y[i] += x[i];
                  return y;
                });
}

TEST(MoeBlockReferenceTest, ARowIsTheSameBitsAloneAndInABatch) {
  Layer layer;
  layer.AddShared().Add("shared_weight", {1, kDim}, 0.5f).Add("router_bias", {kExperts}, 0.5f);
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      MakeModel(Config("moe { top_k: 2 score: SIGMOID residual: true }"), layer.tensors()));
  const std::vector<float> inputs = Inputs();
  const std::vector<float> together = RunOne(*model, FloatTensor("x", {kRows, kDim}, inputs));
  for (int64_t row = 0; row < kRows; ++row) {
    const auto one = absl::MakeConstSpan(inputs).subspan(static_cast<size_t>(row * kDim), kDim);
    const std::vector<float> alone = RunOne(*model, FloatTensor("x", {1, kDim}, one));
    EXPECT_EQ(alone, std::vector<float>(together.begin() + row * kDim,
                                        together.begin() + (row + 1) * kDim));
  }
}

TEST(MoeBlockReferenceTest, TheSharedExpertIsCountedAsWorkAndAsBytes) {
  Layer without, with;
  with.AddShared();
  ASSERT_OK_AND_ASSIGN(const auto plain, MakeModel(Config("moe { top_k: 2 }"), without.tensors()));
  ASSERT_OK_AND_ASSIGN(const auto shared, MakeModel(Config("moe { top_k: 2 }"), with.tensors()));
  EXPECT_GE(shared->resident_bytes(), plain->resident_bytes() + 3 * kShared * kDim * sizeof(float));
  const double added = shared->Work(5, kNoPositions).flops - plain->Work(5, kNoPositions).flops;
  EXPECT_GE(added, 5 * 2 * 3 * kShared * kDim);
  EXPECT_LE(added, 5 * 3 * 3 * kShared * kDim);
}

TEST(MoeBlockReferenceTest, SaysWhatIsWrong) {
  const auto refused = [](const std::string& fields, Layer layer) {
    return std::string(MakeModel(Config(absl::StrCat("moe { ", fields, " }")), layer.tensors())
                           .status()
                           .message());
  };
  EXPECT_THAT(refused("top_k: 2 scale: 0", {}), HasSubstr("scale must be finite and above 0"));
  EXPECT_THAT(refused("top_k: 2 scale: nan", {}), HasSubstr("scale must be finite and above 0"));
  EXPECT_THAT(refused("top_k: 8", {}), HasSubstr("top_k must be in [1, 7], found 8"));
  EXPECT_THAT(refused("top_k: 2", Layer().Add("router_bias", {kExperts + 1}, 1)),
              HasSubstr("0.router_bias"));
  EXPECT_THAT(refused("top_k: 2", Layer().Add("shared_gate", {kShared, kDim}, 1)),
              HasSubstr("0.shared_up"));
  EXPECT_THAT(refused("top_k: 2", Layer().Add("shared_weight", {1, kDim}, 1)),
              HasSubstr("0.shared_weight [1,21], which no block of config.yaml reads"));
  EXPECT_THAT(refused("top_k: 2", Layer().AddShared().Add("shared_weight", {2, kDim}, 1)),
              HasSubstr("0.shared_weight"));
  // Enums are open: a number that no name has.
  config::v1::Model config = ModelConfigOf(Config("moe { top_k: 2 }"));
  config.mutable_blocks(0)->mutable_moe()->set_score(static_cast<config::v1::RouterScore>(9));
  const auto bytes = SafetensorsBytes(Layer().tensors(), {});
  ASSERT_TRUE(bytes.ok());
  ASSERT_OK_AND_ASSIGN(const auto file, Safetensors::Parse(*bytes));
  EXPECT_THAT(Model::Create(config, "m", 1, file.get(), "f").status().message(),
              HasSubstr("unknown score 9"));
  config.mutable_blocks(0)->mutable_moe()->set_score(config::v1::SOFTMAX);
  config.mutable_blocks(0)->mutable_moe()->set_activation(static_cast<config::v1::Activation>(9));
  EXPECT_THAT(Model::Create(config, "m", 1, file.get(), "f").status().message(),
              HasSubstr("unknown activation 9"));
}

}  // namespace
}  // namespace penstock::expert
