#include "router_service/gating/weights/activation_weights.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;

constexpr Activation kTanh = config::v1::ActivationGate::TANH;
constexpr Activation kIdentity = config::v1::ActivationGate::IDENTITY;

std::vector<double> Forward(Activation psi, double tau, std::vector<double> heads,
                            std::vector<double> bias) {
  const ActivationWeights weights(heads.size(), psi, tau);
  std::vector<double> g(heads.size());
  weights.Forward(heads, bias, absl::MakeSpan(g));
  return g;
}

TEST(Activate, HasItsKnownValues) {
  EXPECT_NEAR(Activate(kTanh, 0.5), 0.4621171573, 1e-10);
  EXPECT_NEAR(Activate(config::v1::ActivationGate::SIGMOID, 0.5), 0.6224593312, 1e-10);
  EXPECT_NEAR(Activate(config::v1::ActivationGate::GELU, 1), 0.8413447461, 1e-10);
  EXPECT_EQ(Activate(kIdentity, -2.5), -2.5);
}

// Scaling W, b and tau alike is no change of a linear gate, so none of them can be estimated.
TEST(ActivationWeights, ALinearGateIsNotIdentifiableAndATanhGateIs) {
  const std::vector<double> heads = {0.3, -1, 2}, bias = {0.1, 0, -0.2};
  std::vector<double> scaled_heads = heads, scaled_bias = bias;
  for (double& head : scaled_heads) head *= 3;
  for (double& b : scaled_bias) b *= 3;
  EXPECT_THAT(Forward(kIdentity, 3 * 0.7, scaled_heads, scaled_bias),
              Pointwise(DoubleNear(1e-12), Forward(kIdentity, 0.7, heads, bias)));
  const std::vector<double> tanh = Forward(kTanh, 0.7, heads, bias);
  const std::vector<double> scaled = Forward(kTanh, 3 * 0.7, scaled_heads, scaled_bias);
  EXPECT_GT(std::abs(scaled[2] - tanh[2]), 0.05);
}

TEST(ActivationWeights, LearnsATemperatureAboveItsFloor) {
  const ActivationWeights weights(2, kTanh);
  EXPECT_EQ(weights.scalars(), 3u);
  EXPECT_NEAR(weights.Temperature(std::vector<double>{0, 0, ActivationWeights::RawTemperature(1)}),
              1, 1e-12);
  EXPECT_NEAR(weights.Temperature(std::vector<double>{0, 0, -50}), 0.05, 1e-12);
}

}  // namespace
}  // namespace penstock::router
