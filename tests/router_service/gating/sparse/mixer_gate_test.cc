#include "router_service/gating/sparse/mixer_gate.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/gating/sparse/gate_fixture.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

config::v1::Gate Config(const std::string& file) {
  config::v1::Gate config;
  config.mutable_mixer()->set_file(file);
  return config;
}

TEST(MixerGate, NamesOneExpertByItsLinearMap) {
  const std::string file =
      WriteGate("mixer", {{"weight", {4, 1}, {1, 0, -1, 0}}, {"bias", {4}, {0, 0.5f, 0, 0}}});
  const auto gate = Made(Config(file), {"a", "b", "c"}, 1);
  EXPECT_EQ(gate->k(), 1u);
  const auto largest = [&](float z) {
    const std::vector<float> mass = Mass(*gate, {z});
    return std::max_element(mass.begin(), mass.end()) - mass.begin();
  };
  EXPECT_EQ(largest(1), 0);
  EXPECT_EQ(largest(0.2f), 1);
  EXPECT_EQ(largest(-1), 2);
}

TEST(MixerGate, RefusesAnotherGatesFile) {
  EXPECT_THAT(
      Refusal(Config(WriteGate("topk_softmax", {{"weight", {4, 1}, {1, 0, -1, 0}}})), {"a"}, 1),
      HasSubstr("wanted \"mixer\""));
}

}  // namespace
}  // namespace penstock::router
