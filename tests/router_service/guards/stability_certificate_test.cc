#include "router_service/guards/stability_certificate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/linear/linear.h"
#include "router_service/gating/top_k.h"

namespace penstock::router {
namespace {

constexpr size_t kExperts = 6;
constexpr size_t kDimension = 12;

double Normal(CounterRandom& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += random.Uniform();
  return sum;
}

// A linear gate with random weights, and its certificate.
struct RandomLinearGate {
  explicit RandomLinearGate(uint64_t seed)
      : weight(Weights(seed)), bias(Biases(seed)), certificate(weight, bias, kDimension) {}

  static std::vector<float> Weights(uint64_t seed) {
    CounterRandom random(seed, 1);
    std::vector<float> values(kExperts * kDimension);
    for (float& value : values) value = static_cast<float>(Normal(random));
    return values;
  }
  static std::vector<float> Biases(uint64_t seed) {
    CounterRandom random(seed, 2);
    std::vector<float> values(kExperts);
    for (float& value : values) value = static_cast<float>(Normal(random));
    return values;
  }

  std::vector<float> Logits(const std::vector<float>& z) const {
    std::vector<float> logits(kExperts);
    const kernels::PackedLinear packed(weight.data(), bias.data(), kDimension, kExperts);
    kernels::LinearArgs args;
    args.w = packed.weights();
    args.rows = 1;
    args.x = z.data();
    args.y = logits.data();
    EXPECT_TRUE(kernels::Linear(args).ok());
    return logits;
  }
  std::vector<uint32_t> First(const std::vector<float>& z, size_t k) const {
    const auto choice = ChooseTopK(Logits(z), {}, k);
    std::vector<uint32_t> experts;
    for (const WeightedExpert& expert : choice->experts) experts.push_back(expert.expert);
    std::sort(experts.begin(), experts.end());
    return experts;
  }
  double Radius(const std::vector<float>& z, size_t k) const {
    return certificate.Radius(z, Logits(z), {}, k);
  }

  const std::vector<float> weight, bias;
  const StabilityCertificate certificate;
};

std::vector<float> RandomPoint(CounterRandom& random) {
  std::vector<float> z(kDimension);
  for (float& value : z) value = static_cast<float>(2 * Normal(random));
  return z;
}

// z moved by `length` along `direction`.
std::vector<float> Moved(const std::vector<float>& z, const std::vector<double>& direction,
                         double length) {
  double squares = 0;
  for (const double value : direction) squares += value * value;
  std::vector<float> moved(z);
  for (size_t i = 0; i < z.size(); ++i) {
    moved[i] += static_cast<float>(length * direction[i] / std::sqrt(squares));
  }
  return moved;
}

TEST(StabilityCertificate, IsTheMarginOverTheDistanceOfTheWeights) {
  // h = (z0, -z0): margin 4 at z = (2, 0), weights 2 apart.
  const std::vector<float> weight = {1, 0, -1, 0}, bias = {0, 0}, z = {2, 0};
  const StabilityCertificate certificate(weight, bias, 2);
  EXPECT_NEAR(certificate.Radius(z, {2.0f, -2.0f}, {}, 1), 2, 1e-5);
  EXPECT_LT(certificate.Radius(z, {2.0f, -2.0f}, {}, 1), 2);
}

TEST(StabilityCertificate, NoPerturbationWithinItsRadiusChangesTheChoice) {
  size_t tries = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const RandomLinearGate gate(seed);
    CounterRandom random(seed, 3);
    const size_t k = 1 + seed % 3;
    for (int point = 0; point < 10; ++point) {
      const std::vector<float> z = RandomPoint(random);
      const double radius = gate.Radius(z, k);
      const std::vector<uint32_t> first = gate.First(z, k);
      for (int i = 0; i < 60; ++i, ++tries) {
        std::vector<double> direction(kDimension);
        for (double& value : direction) value = Normal(random);
        ASSERT_EQ(gate.First(Moved(z, direction, 0.9999 * radius), k), first);
      }
      // The worst directions: from a chosen expert's weights to another's.
      for (const uint32_t inside : first) {
        for (size_t outside = 0; outside < kExperts; ++outside) {
          if (outside == inside) continue;
          std::vector<double> direction(kDimension);
          for (size_t d = 0; d < kDimension; ++d) {
            direction[d] = static_cast<double>(gate.weight[outside * kDimension + d]) -
                           gate.weight[inside * kDimension + d];
          }
          ASSERT_EQ(gate.First(Moved(z, direction, 0.9999 * radius), k), first);
        }
      }
    }
  }
  EXPECT_GE(tries, 10'000u);
}

TEST(StabilityCertificate, JustBeyondItsRadiusSomeDirectionChangesTheChoice) {
  const RandomLinearGate gate(5);
  CounterRandom random(5, 4);
  for (int point = 0; point < 50; ++point) {
    const std::vector<float> z = RandomPoint(random);
    const double radius = gate.Radius(z, 1);
    const std::vector<uint32_t> first = gate.First(z, 1);
    bool flipped = false;
    for (size_t outside = 0; outside < kExperts; ++outside) {
      if (outside == first[0]) continue;
      std::vector<double> direction(kDimension);
      for (size_t d = 0; d < kDimension; ++d) {
        direction[d] = static_cast<double>(gate.weight[outside * kDimension + d]) -
                       gate.weight[first[0] * kDimension + d];
      }
      flipped |= gate.First(Moved(z, direction, 1.001 * radius + 1e-4), 1) != first;
    }
    EXPECT_TRUE(flipped) << "point " << point;
  }
}

TEST(StabilityCertificate, WhoMayNotAnswerDoesNotCount) {
  const std::vector<float> weight = {1, 0, 0.9f, 0, -1, 0}, bias = {0, 0, 0}, z = {2, 0};
  const StabilityCertificate certificate(weight, bias, 2);
  const std::vector<float> logits = {2, 1.8f, -2};
  EXPECT_NEAR(certificate.Radius(z, logits, {1, 0, 1}, 1), 2, 1e-4);
  EXPECT_EQ(certificate.Radius(z, logits, {1, 0, 0}, 1), std::numeric_limits<double>::infinity());
  EXPECT_EQ(certificate.Radius(z, logits, {0, 0, 0}, 1), 0);
}

TEST(StabilityCertificate, PromisesNothingAtATieOrWithoutFigures) {
  const std::vector<float> weight = {1, 0, -1, 0}, bias = {0, 0};
  const StabilityCertificate certificate(weight, bias, 2);
  const std::vector<float> z = {0, 1};
  EXPECT_EQ(certificate.Radius(z, {0.0f, 0.0f}, {}, 1), 0);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(certificate.Radius(z, {nan, 0.0f}, {}, 1), 0);
}

}  // namespace
}  // namespace penstock::router
