#include "router_service/gating/sparse/activation_gate.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/gating/sparse/gate_fixture.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

using Config = config::v1::ActivationGate;

// h = (z, -z, 0, 2 z), b = (0, .25, 0, 0), tau = .5.
config::v1::Gate Gate(const std::string& trained_with, Config::Activation activation) {
  config::v1::Gate config;
  config.mutable_activation()->set_activation(activation);
  config.mutable_activation()->set_file(WriteGate(
      "activation",
      {{"linear", {4, 1}, {1, -1, 0, 2}}, {"bias", {4}, {0, 0.25f, 0, 0}}, {"tau", {1}, {0.5f}}},
      {{"activation", trained_with}}));
  return config;
}

std::vector<float> Logits(const config::v1::Gate& config, float z) {
  const auto gate = Made(config, {"a", "b", "c", "d"}, 1);
  std::vector<float> logits(4);
  CounterRandom random(1, 1);
  gate->Score({z}, {}, random, absl::MakeSpan(logits));
  return logits;
}

TEST(ActivationGate, PutsTheLinearMapThroughItsActivation) {
  EXPECT_THAT(Logits(Gate("TANH", Config::TANH), 0.5f),
              ElementsAre(FloatNear(2 * 0.462117f, 1e-6f), FloatNear(2 * -0.212117f, 1e-6f), 0,
                          FloatNear(2 * 0.761594f, 1e-6f)));
  EXPECT_THAT(Logits(Gate("SIGMOID", Config::SIGMOID), 0.5f)[0], FloatNear(2 * 0.622459f, 1e-6f));
  EXPECT_THAT(Logits(Gate("GELU", Config::GELU), 1)[0], FloatNear(2 * 0.841345f, 1e-6f));
}

TEST(ActivationGate, AConfiguredTemperatureReplacesTheLearnedOne) {
  config::v1::Gate config = Gate("IDENTITY", Config::IDENTITY);
  config.mutable_activation()->set_temperature(2);
  EXPECT_THAT(Logits(config, 0.5f), ElementsAre(0.25f, -0.125f, 0, 0.5f));
}

TEST(ActivationGate, RefusesIdentityWithALearnedTemperature) {
  EXPECT_THAT(Refusal(Gate("IDENTITY", Config::IDENTITY), {"a", "b"}, 1),
              HasSubstr("gate.activation.activation: wanted TANH, SIGMOID or GELU, or a fixed "
                        "temperature beside IDENTITY"));
}

TEST(ActivationGate, RefusesAnotherActivationThanItWasTrainedWith) {
  EXPECT_THAT(Refusal(Gate("GELU", Config::TANH), {"a"}, 1),
              HasSubstr("was trained with activation GELU, but activation.activation is TANH"));
}

TEST(ActivationGate, MasksAndFindsExpertsByName) {
  const auto gate = Made(Gate("TANH", Config::TANH), {"d", "a"}, 1);
  EXPECT_THAT(Mass(*gate, {0.5f}, {0, 1}), ElementsAre(0, 1));
  EXPECT_GT(Mass(*gate, {0.5f})[0], 0.5f);
  ExpectRowsLikeRequests(*gate, {1, -2, 0.5f});
}

}  // namespace
}  // namespace penstock::router
