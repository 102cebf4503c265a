#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "gmock/gmock.h"
#include "tests/expert_service/models/loops.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using kernels::WeightFormat;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr size_t kDim = 11, kWidth = 5, kLearners = 4, kOut = 9;

std::string Config(bool surrounded, const std::string& positions = "") {
  const std::string out = std::to_string(surrounded ? kDim : kOut);
  return "inputs { name: 'x' datatype: 'FP32' shape: [" + positions + "11] } " +
         "outputs { name: 'y' datatype: 'FP32' shape: [" + positions + out + "] } " +
         "blocks { adaptive_ffn { learners: 4 " + (surrounded ? "norm: true residual: true" : "") +
         " } }";
}

Tensors Weights(bool surrounded) {
  const int64_t d = kDim, r = kWidth, n = kLearners, o = surrounded ? kDim : kOut;
  Tensors t;
  t.Add("0.in", {n, r, d});
  t.Add("0.in_bias", {n, r});
  t.Add("0.out", {n, o, r});
  t.Add("0.out_bias", {n, o});
  t.Add("0.choice", {n + 1, d}, 1.0f);
  t.Add("0.choice_bias", {n + 1});
  if (surrounded) t.Add("0.norm", {d}, 0.5f, 1.0f);
  return t;
}

// Whatever the input: `width` learners.
void AlwaysChoose(size_t width, Tensors& t) {
  std::vector<float> bias(kLearners + 1, 0.0f);
  bias[width] = 1;
  t.Set("0.choice", {kLearners + 1, kDim}, std::vector<float>((kLearners + 1) * kDim));
  t.Set("0.choice_bias", {kLearners + 1}, bias);
}

struct Vector {
  Doubles y;
  size_t width;
  double margin;  // between the largest choice and the next
};

Vector Loop(const Tensors& t, bool surrounded, const Doubles& x) {
  const Doubles n = surrounded ? RmsNormOf(x, t["0.norm"]) : x;
  const Doubles choice = Plus(Times(t["0.choice"], n), t["0.choice_bias"]);
  Vector out;
  out.width = static_cast<size_t>(std::max_element(choice.begin(), choice.end()) - choice.begin());
  Doubles sorted = choice;
  std::sort(sorted.rbegin(), sorted.rend());
  out.margin = sorted[0] - sorted[1];
  const size_t o = surrounded ? kDim : kOut;
  out.y = surrounded ? x : Doubles(o);
  for (size_t i = 0; i < out.width; ++i) {
    Doubles h = Plus(Times(Part(t["0.in"], i * kWidth * kDim, kWidth * kDim), n),
                     Part(t["0.in_bias"], i * kWidth, kWidth));
    for (double& value : h) value = GeluOf(value);
    out.y = Plus(out.y, Plus(Times(Part(t["0.out"], i * o * kWidth, o * kWidth), h),
                             Part(t["0.out_bias"], i * o, o)));
  }
  return out;
}

void ExpectLoops(const Tensors& t, bool surrounded, int64_t positions, std::set<size_t> widths) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel(Config(surrounded, positions > 0 ? "-1, " : ""), t.all()));
  const int64_t rows = 31;
  std::vector<int64_t> shape = {rows};
  if (positions > 0) shape.push_back(positions);
  shape.push_back(kDim);
  const std::vector<float> x =
      Noise(rows * std::max<int64_t>(positions, 1) * static_cast<int64_t>(kDim), 9, 1.5f);
  Doubles wanted;
  std::set<size_t> seen;
  for (size_t at = 0; at < x.size(); at += kDim) {
    const Vector each = Loop(t, surrounded, Part(Doubles(x.begin(), x.end()), at, kDim));
    ASSERT_GT(each.margin, 1e-4) << "too near to say which float32 takes";
    wanted.insert(wanted.end(), each.y.begin(), each.y.end());
    seen.insert(each.width);
  }
  EXPECT_EQ(seen, widths);
  EXPECT_LE(RelativeError(RunOne(*model, FloatTensor("x", shape, x)), wanted), 1e-5);
  ExpectAloneEqualsBatch(*model, shape, x);
}

TEST(AdaptiveFfnBlockTest, EqualsPlainLoopsOfMixedWidths) {
  ExpectLoops(Weights(false), false, 0, {0, 1, 2, 3, 4});
  ExpectLoops(Weights(true), true, 0, {0, 1, 2, 3, 4});
  ExpectLoops(Weights(true), true, 6, {0, 1, 2, 3, 4});
}

TEST(AdaptiveFfnBlockTest, EqualsPlainLoopsOfEveryWidth) {
  for (size_t width = 1; width <= kLearners; ++width) {
    Tensors t = Weights(false);
    AlwaysChoose(width, t);
    ExpectLoops(t, false, 0, {width});
  }
}

TEST(AdaptiveFfnBlockTest, OfNoLearnerIsItsInputOrNothing) {
  Tensors t = Weights(true);
  AlwaysChoose(0, t);
  const std::vector<float> x = Noise(kDim, 9, 1.5f);
  ASSERT_OK_AND_ASSIGN(const auto with_input, MakeModel(Config(true), t.all()));
  EXPECT_EQ(RunOne(*with_input, FloatTensor("x", {1, kDim}, x)), x);
  t = Weights(false);
  AlwaysChoose(0, t);
  ASSERT_OK_AND_ASSIGN(const auto without, MakeModel(Config(false), t.all()));
  EXPECT_THAT(RunOne(*without, FloatTensor("x", {1, kDim}, x)), Each(0.0f));
}

TEST(AdaptiveFfnBlockTest, ANanRunsAllLearnersAndStaysInItsRow) {
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(Config(false), Weights(false).all()));
  std::vector<float> x = Noise(3 * kDim, 9, 1.5f);
  const std::vector<float> before = RunOne(*model, FloatTensor("x", {3, kDim}, x));
  x[kDim] = std::nanf("");
  const std::vector<float> after = RunOne(*model, FloatTensor("x", {3, kDim}, x));
  EXPECT_TRUE(std::isnan(after[kOut]));
  EXPECT_EQ(std::memcmp(after.data(), before.data(), kOut * sizeof(float)), 0);
  EXPECT_EQ(std::memcmp(&after[2 * kOut], &before[2 * kOut], kOut * sizeof(float)), 0);
}

ModelRun RunCost(const Model& model, const std::vector<float>& x) {
  const int64_t rows = static_cast<int64_t>(x.size() / kDim);
  const auto inputs = model.Accept({FloatTensor("x", {rows, kDim}, x)});
  EXPECT_THAT(inputs, IsOk());
  std::vector<Tensor> outputs;
  const std::vector<size_t> wanted = {0};
  const ModelCall call = {&*inputs, wanted, &outputs};
  Arena arena;
  ModelRun run;
  EXPECT_THAT(model.Run({&call, 1}, arena, &run), IsOk());
  return run;
}

TEST(AdaptiveFfnBlockTest, CostsWhatRan) {
  const std::vector<float> x = Noise(2 * kDim, 9, 1.5f);
  std::vector<ModelRun> of_width;
  for (size_t width = 0; width <= kLearners; ++width) {
    Tensors t = Weights(false);
    AlwaysChoose(width, t);
    ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(Config(false), t.all()));
    of_width.push_back(RunCost(*model, x));
    const ModelWork most = model->Work(2, kNoPositions);
    if (width < kLearners) {
      EXPECT_LT(of_width[width].flops[0], most.flops);
      EXPECT_LT(of_width[width].weight_bytes, most.weight_bytes);
    } else {
      EXPECT_DOUBLE_EQ(of_width[width].flops[0], most.flops);
      EXPECT_DOUBLE_EQ(of_width[width].weight_bytes, most.weight_bytes);
    }
  }
  // Learners are alike: each costs as much as another.
  for (size_t width = 2; width <= kLearners; ++width) {
    EXPECT_DOUBLE_EQ(of_width[width].flops[0] - of_width[width - 1].flops[0],
                     of_width[1].flops[0] - of_width[0].flops[0]);
    EXPECT_DOUBLE_EQ(of_width[width].weight_bytes - of_width[width - 1].weight_bytes,
                     of_width[1].weight_bytes - of_width[0].weight_bytes);
  }
}

TEST(AdaptiveFfnBlockTest, ComputesWithWhatQuantisedMatricesHold) {
  Tensors t = Weights(true);
  AlwaysChoose(3, t);
  const std::vector<std::string> matrices = {"0.in", "0.out"};
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeQuantized(Config(true), t, matrices, WeightFormat::kInt8));
  const std::vector<float> x = Noise(kDim, 9, 1.5f);
  // Where the CPU multiplies codes in bfloat16 the inputs are rounded to it.
  EXPECT_LE(
      RelativeError(
          RunOne(*model, FloatTensor("x", {1, kDim}, x)),
          Loop(Rounded(t, matrices, WeightFormat::kInt8), true, Doubles(x.begin(), x.end())).y),
      2e-2);
}

TEST(AdaptiveFfnBlockTest, NamesWhatDoesNotFit) {
  const auto refuses = [](const auto& change, const auto& message) {
    Tensors t = Weights(true);
    change(t);
    EXPECT_THAT(MakeModel(Config(true), t.all()).status().message(), message);
  };
  refuses(
      [](Tensors& t) {
        t.Set("0.choice", {4, 11}, Wave(44));
      },
      AllOf(HasSubstr("blocks[0] adaptive_ffn"), HasSubstr("0.choice"), HasSubstr("[5,11]"),
            HasSubstr("[4,11]")));
  refuses(
      [](Tensors& t) {
        t.Set("0.in", {3, 5, 11}, Wave(165));
      },
      AllOf(HasSubstr("0.in"), HasSubstr("[3,5,11]")));
  refuses(
      [](Tensors& t) {
        t.Set("0.out", {4, 9, 5}, Wave(180));
      },
      AllOf(HasSubstr("0.out"), HasSubstr("[4,11,5]"), HasSubstr("[4,9,5]")));
  refuses([](Tensors& t) { t.Drop("0.out_bias"); }, HasSubstr("no tensor 0.out_bias"));
  EXPECT_THAT(MakeModel("inputs { name: 'x' datatype: 'FP32' shape: 11 } outputs { name: 'y' "
                        "datatype: 'FP32' shape: 11 } blocks { adaptive_ffn {} }",
                        Weights(true).all())
                  .status()
                  .message(),
              HasSubstr("learners must be in [1, 1024], found 0"));
}

}  // namespace
}  // namespace penstock::expert
