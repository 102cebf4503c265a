#include "kernels/linear_attention/hgrn2_gates.h"

#include "kernels/linear_attention/linear_attention.h"
#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

struct Gates {
  std::vector<float> g, k;
};

Gates Compute(const std::vector<float>& z, const std::vector<float>& bound) {
  const int64_t channels = static_cast<int64_t>(bound.size());
  const int64_t count = static_cast<int64_t>(z.size());
  Gates gates = {Poison(count), Poison(count)};
  EXPECT_TRUE(Hgrn2Gates({count / channels, channels, z.data(), bound.data(), gates.g.data(),
                          gates.k.data()})
                  .ok());
  return gates;
}

// 1 - f = (1 - bound) sigmoid(-z) without cancellation; 2e-7 is about 3 roundings of a float.
TEST(Hgrn2GatesTest, ComputesDecayAndKeyToTheLastBits) {
  const std::vector<float> bound = {0.0f, 1e-6f, 0.3f, 0.9f, 0.999999f};
  for (const float logit : {-50.0f, -20.0f, -3.0f, 0.0f, 0.5f, 8.0f, 20.0f, 60.0f}) {
    const Gates gates = Compute(std::vector<float>(5, logit), bound);
    for (size_t c = 0; c < bound.size(); ++c) {
      const long double b = bound[c], z = logit;
      const long double f = b + (1 - b) / (1 + std::exp(-z)), k = (1 - b) / (1 + std::exp(z));
      const long double g = k < 0.5L ? std::log1p(-k) : std::log(f);
      EXPECT_NEAR(gates.k[c] / static_cast<double>(k), 1, 2e-7) << logit << " " << bound[c];
      EXPECT_NEAR(gates.g[c] / static_cast<double>(g), 1, 2e-7) << logit << " " << bound[c];
    }
  }
}

TEST(Hgrn2GatesTest, ExtremesStayInRange) {
  const Gates gates = Compute({-kInf, -kInf, 1e30f, 1e30f, -1e30f, -1e30f, kInf, kInf}, {0, 1});
  EXPECT_EQ(gates.g, (std::vector<float>{-kInf, 0, 0, 0, -1e30f, 0, 0, 0}));
  EXPECT_EQ(gates.k, (std::vector<float>{1, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(Hgrn2GatesTest, NoBoundsAreZeros) {
  const std::vector<float> z = RandomFloats(6, 1);
  const Gates expected = Compute(z, {0, 0, 0});
  std::vector<float> g = z, k = Poison(6);  // in place
  ASSERT_TRUE(Hgrn2Gates({2, 3, g.data(), nullptr, g.data(), k.data()}).ok());
  EXPECT_EQ(g, expected.g);
  EXPECT_EQ(k, expected.k);
}

TEST(Hgrn2GatesTest, NanStaysInItsChannel) {
  const Gates gates = Compute({0, kNan, 0, 0}, {0.5f, 0.5f});
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(std::isnan(gates.g[i]), i == 1);
    EXPECT_EQ(std::isnan(gates.k[i]), i == 1);
  }
}

// The recurrence h = f h + (1 - f) v of one channel is linear_attention with these gates.
TEST(Hgrn2GatesTest, DriveLinearAttention) {
  constexpr int64_t kTokens = 40;
  const std::vector<float> z = RandomFloats(kTokens, 1, 2.0f), v = RandomFloats(kTokens, 2);
  const Gates gates = Compute(z, {0.2f});
  const std::vector<float> q(kTokens, 1.0f);
  std::vector<float> state(StateFloats(1, 1)), y = Poison(kTokens), expected;
  const int64_t offsets[] = {0, kTokens};
  GuardedWorkspace workspace(LinearAttentionWorkspaceBytes(1));
  ASSERT_TRUE(
      LinearAttention({1, 1, 1, 1, offsets, q.data(), gates.k.data(), v.data(), gates.g.data(),
                       state.data(), y.data(), 1, StateForm::kAuto, workspace.get()})
          .ok());
  double h = 0;
  for (int64_t t = 0; t < kTokens; ++t) {
    const double f = 0.2 + 0.8 / (1 + std::exp(-static_cast<double>(z[t])));
    h = f * h + (1 - f) * static_cast<double>(v[t]);
    expected.push_back(static_cast<float>(h));
  }
  EXPECT_LE(RelativeError(y, expected), kTolerance);
}

TEST(Hgrn2GatesTest, EmptyWorkAndBadArguments) {
  EXPECT_TRUE(Hgrn2Gates({0, 4, nullptr, nullptr, nullptr, nullptr}).ok());
  const float z = 0, above = 1.5f;
  float g, k;
  EXPECT_EQ(Hgrn2Gates({1, 1, &z, &above, &g, &k}).code, Code::kInvalidArgument);
  EXPECT_EQ(Hgrn2Gates({1, 1, &z, &kNan, &g, &k}).code, Code::kInvalidArgument);
  EXPECT_EQ(Hgrn2Gates({1, 1, nullptr, nullptr, &g, &k}).code, Code::kInvalidArgument);
  EXPECT_EQ(Hgrn2Gates({-1, 1, &z, nullptr, &g, &k}).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
