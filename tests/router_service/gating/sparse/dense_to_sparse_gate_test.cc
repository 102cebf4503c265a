#include "router_service/gating/sparse/dense_to_sparse_gate.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/gating/sparse/gate_fixture.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

const std::vector<std::string> kAll = {"a", "b", "c", "d"};

// h = z (1, .5, 0, -1) at tau = .5, costs 1, 10, 2, 1.
config::v1::Gate Config(double theta, bool cost = true) {
  std::vector<SafetensorsTensor> tensors = {{"linear", {4, 1}, {1, 0.5f, 0, -1}},
                                            {"tau", {1}, {0.5f}}};
  if (cost) tensors.push_back({"cost", {4}, {1, 10, 2, 1}});
  config::v1::Gate config;
  config.mutable_dense_to_sparse()->set_file(WriteGate("dense_to_sparse", tensors));
  config.mutable_dense_to_sparse()->set_theta(theta);
  return config;
}

TEST(DenseToSparseGate, HowManyAreActiveDependsOnTheRequest) {
  const auto gate = Made(Config(0.2), kAll, 1);
  EXPECT_EQ(gate->k(), 4u);
  EXPECT_THAT(Mass(*gate, {0}), ElementsAre(0.25f, 0.25f, 0.25f, 0.25f));
  // y = .64, .24, .09, .03: two are above, and share by y.
  EXPECT_THAT(Mass(*gate, {1}),
              ElementsAre(FloatNear(0.731059f, 1e-6f), FloatNear(0.268941f, 1e-6f), 0, 0));
  EXPECT_THAT(Mass(*gate, {9}), ElementsAre(1, 0, 0, 0));
}

TEST(DenseToSparseGate, FallsBackToTheMostProbable) {
  EXPECT_THAT(Mass(*Made(Config(0.9), kAll, 1), {0.1f}), ElementsAre(1, 0, 0, 0));
}

TEST(DenseToSparseGate, ADearExpertMustBeMoreProbable) {
  config::v1::Gate config = Config(0.05);
  EXPECT_GT(Mass(*Made(config, kAll, 1), {1})[1], 0.2f);
  config.mutable_dense_to_sparse()->set_cost_aware(true);  // thresholds .05, .5, .1, .05
  EXPECT_THAT(Mass(*Made(config, kAll, 1), {1}), ElementsAre(1, 0, 0, 0));
  // Of a pool without the cheap ones, c is the cheapest: thresholds .25 and .05.
  EXPECT_THAT(Mass(*Made(config, {"b", "c"}, 1), {0.1f}),
              ElementsAre(FloatNear(0.52498f, 1e-5f), FloatNear(0.47502f, 1e-5f)));
}

TEST(DenseToSparseGate, RefusesCostAwarenessWithoutCosts) {
  config::v1::Gate config = Config(0.05, false);
  config.mutable_dense_to_sparse()->set_cost_aware(true);
  EXPECT_THAT(Refusal(config, kAll, 1), HasSubstr("has no tensor cost"));
}

TEST(DenseToSparseGate, ProbabilitiesAreAmongTheAdmissible) {
  const auto gate = Made(Config(0.2), kAll, 1);
  // Without a and b, y = .88, .12.
  EXPECT_THAT(Mass(*gate, {1}, {0, 0, 1, 1}), ElementsAre(0, 0, 1, 0));
  ExpectRowsLikeRequests(*gate, {0, 1, -3});
}

}  // namespace
}  // namespace penstock::router
