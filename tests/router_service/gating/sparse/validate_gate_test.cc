#include "router_service/gating/sparse/validate_gate.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

std::string Message(const config::v1::Gate& config) {
  const absl::Status status = ValidateGate("pools[2].gate", config, {"a", "b"});
  return status.ok() ? "" : std::string(status.message());
}

TEST(ValidateGate, WantsAFileOfEveryTrainedGate) {
  config::v1::Gate config;
  config.mutable_dselect_k();
  EXPECT_EQ(
      Message(config),
      "pools[2].gate.dselect_k.file: wanted a file of penstock train --gate dselect_k, got none");
  config.mutable_comet();
  EXPECT_THAT(Message(config), HasSubstr("gate.comet.file: wanted"));
  config.mutable_activation();
  EXPECT_THAT(Message(config), HasSubstr("gate.activation.file: wanted"));
  config.mutable_dense_to_sparse();
  EXPECT_THAT(Message(config), HasSubstr("gate.dense_to_sparse.file: wanted"));
  config.mutable_mixer();
  EXPECT_THAT(Message(config), HasSubstr("gate.mixer.file: wanted"));
  config.mutable_phatgoose();
  EXPECT_THAT(Message(config), HasSubstr("gate.phatgoose.vectors: wanted a file for a"));
}

TEST(ValidateGate, HoldsKWithinThePool) {
  config::v1::Gate config;
  config.mutable_comet()->set_k(3);
  EXPECT_EQ(Message(config), "pools[2].gate.comet.k: wanted 1 to 2, got 3");
  config.mutable_dselect_k()->set_k(0);
  EXPECT_EQ(Message(config), "pools[2].gate.dselect_k.k: wanted 1 to 2, got 0");
  config.mutable_comet()->set_k(2);
  config.mutable_comet()->set_file("any");
  EXPECT_EQ(Message(config), "");
}

TEST(ValidateGate, HoldsThetaAndTemperatureWithinTheirRange) {
  config::v1::Gate config;
  config.mutable_dense_to_sparse()->set_theta(1);
  EXPECT_EQ(Message(config),
            "pools[2].gate.dense_to_sparse.theta: wanted at least 0 and below 1, got 1");
  config.mutable_activation()->set_temperature(0);
  EXPECT_EQ(Message(config), "pools[2].gate.activation.temperature: wanted above 0, got 0");
}

TEST(ValidateGate, RefusesALinearGateThatLearnsItsTemperature) {
  config::v1::Gate config;
  config.mutable_activation()->set_file("any");
  config.mutable_activation()->set_activation(config::v1::ActivationGate::IDENTITY);
  EXPECT_THAT(Message(config), HasSubstr("pools[2].gate.activation.activation: wanted TANH"));
  config.mutable_activation()->set_temperature(0.5);
  EXPECT_EQ(Message(config), "");
  config.mutable_activation()->clear_temperature();
  config.mutable_activation()->set_activation(config::v1::ActivationGate::GELU);
  EXPECT_EQ(Message(config), "");
}

TEST(ValidateGate, LeavesTheOthersToTheirOwnChecks) {
  config::v1::Gate config;
  EXPECT_EQ(Message(config), "");
  config.mutable_random();
  EXPECT_EQ(Message(config), "");
  config.mutable_topk_softmax()->set_k(9);
  EXPECT_EQ(Message(config), "");
}

}  // namespace
}  // namespace penstock::router
