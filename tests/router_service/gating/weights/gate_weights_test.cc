#include "router_service/gating/weights/gate_weights.h"

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/gating/weights/activation_weights.h"
#include "router_service/gating/weights/active_softmax.h"
#include "router_service/gating/weights/comet_weights.h"
#include "router_service/gating/weights/dselect_k_weights.h"

namespace penstock::router {
namespace {

struct Case {
  std::string name;
  std::function<std::unique_ptr<GateWeights>()> make;
  double spread = 0.4;  // of the heads
};

std::ostream& operator<<(std::ostream& out, const Case& test) { return out << test.name; }

std::vector<Case> Cases() {
  const auto dselect = [](size_t experts, size_t selectors) {
    DselectKOptions options;
    options.experts = experts;
    options.selectors = selectors;
    options.entropy = 0.3;
    return [options] { return std::make_unique<DselectKWeights>(options); };
  };
  const auto comet = [](size_t experts, size_t trees) {
    CometOptions options{experts, trees, 1, 0.2, LeavesInOrder(experts, trees)};
    std::swap(options.leaf_expert[0], options.leaf_expert[experts - 1]);
    return [options] { return std::make_unique<CometWeights>(options); };
  };
  const auto activation = [](Activation psi, std::optional<double> tau) {
    return [psi, tau] { return std::make_unique<ActivationWeights>(5, psi, tau); };
  };
  return {
      {"dselect_power_of_two", dselect(8, 2)},
      {"dselect_unreachable_codes", dselect(5, 3)},
      {"dselect_saturated", dselect(4, 2), 1.5},
      {"comet_full_tree", comet(8, 2)},
      {"comet_uneven_tree", comet(5, 3)},
      {"comet_saturated", comet(6, 2), 1.5},
      {"tanh", activation(config::v1::ActivationGate::TANH, std::nullopt)},
      {"sigmoid", activation(config::v1::ActivationGate::SIGMOID, std::nullopt)},
      {"gelu", activation(config::v1::ActivationGate::GELU, std::nullopt)},
      {"identity_fixed", activation(config::v1::ActivationGate::IDENTITY, 0.7)},
      {"active_softmax", [] { return std::make_unique<ActiveSoftmaxWeights>(6, 0.5, 0.1); }},
  };
}

std::vector<double> Draw(size_t count, double spread, uint64_t sequence) {
  CounterRandom random(5, sequence);
  std::vector<double> values(count);
  for (double& value : values) value = spread * (2 * random.Uniform() - 1);
  return values;
}

class GateWeightsTest : public testing::TestWithParam<Case> {};

TEST_P(GateWeightsTest, WeightsAreADistribution) {
  const auto weights = GetParam().make();
  for (uint64_t draw = 0; draw < 50; ++draw) {
    const std::vector<double> heads = Draw(weights->heads(), 3 * GetParam().spread, draw);
    const std::vector<double> scalars = Draw(weights->scalars(), 1, draw + 1000);
    std::vector<double> g(weights->experts());
    weights->Forward(heads, scalars, absl::MakeSpan(g));
    double sum = 0;
    for (const double value : g) {
      EXPECT_GE(value, 0);
      sum += value;
    }
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

// Central differences of step 1e-6 of a random linear function of the weights plus the penalty.
TEST_P(GateWeightsTest, GradientAgreesWithFiniteDifferences) {
  const auto weights = GetParam().make();
  for (uint64_t draw = 0; draw < 10; ++draw) {
    std::vector<double> heads = Draw(weights->heads(), GetParam().spread, draw);
    std::vector<double> scalars = Draw(weights->scalars(), 1, draw + 1000);
    const std::vector<double> by_weight = Draw(weights->experts(), 1, draw + 2000);
    const auto loss = [&] {
      std::vector<double> g(weights->experts()), ignored(heads.size(), 0.0);
      weights->Forward(heads, scalars, absl::MakeSpan(g));
      double value = weights->Penalty(heads, absl::MakeSpan(ignored));
      for (size_t i = 0; i < g.size(); ++i) value += by_weight[i] * g[i];
      return value;
    };
    std::vector<double> head_gradient(heads.size(), 0.0), scalar_gradient(scalars.size(), 0.0);
    weights->Backward(heads, scalars, by_weight, absl::MakeSpan(head_gradient),
                      absl::MakeSpan(scalar_gradient));
    weights->Penalty(heads, absl::MakeSpan(head_gradient));
    const auto difference = [&](double& at) {
      constexpr double kStep = 1e-6;
      const double value = at;
      at = value + kStep;
      const double above = loss();
      at = value - kStep;
      const double below = loss();
      at = value;
      return (above - below) / (2 * kStep);
    };
    for (size_t j = 0; j < heads.size(); ++j) {
      const double expected = difference(heads[j]);
      EXPECT_NEAR(head_gradient[j], expected, 1e-4 * (1 + std::abs(expected))) << "head " << j;
    }
    for (size_t j = 0; j < scalars.size(); ++j) {
      EXPECT_NEAR(scalar_gradient[j], difference(scalars[j]), 1e-4) << "scalar " << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GateWeightsTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace penstock::router
