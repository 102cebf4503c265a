#include "router_service/gating/topk_softmax_gate.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Experts a: h = z0 + 2 z1 + 0.5, b: h = -z0, c: h = 10.
std::string GateFile(const std::string& name) {
  const std::string path = ProcessTempDir() + name;
  EXPECT_TRUE(WriteSafetensors(
                  path, {{"weight", {3, 2}, {1, 2, -1, 0, 0, 0}}, {"bias", {3}, {0.5f, 0, 10}}},
                  {{"experts", R"(["a", "b", "c"])"}})
                  .ok());
  return path;
}

config::v1::Gate Config(const std::string& path) {
  config::v1::Gate config;
  config.mutable_topk_softmax()->set_file(path);
  return config;
}

TEST(TopkSoftmaxGate, ScoresLinearly) {
  const auto gate = MakeGate(Config(GateFile("linear.safetensors")), {"a", "b", "c"}, 2);
  ASSERT_TRUE(gate.ok()) << gate.status();
  CounterRandom random(1, 1);
  std::vector<float> logits(3);
  (*gate)->Score({3.0f, 4.0f}, {}, random, absl::MakeSpan(logits));
  EXPECT_THAT(logits, ElementsAre(11.5f, -3, 10));
}

TEST(TopkSoftmaxGate, FindsExpertsByNameWhateverTheirOrder) {
  const auto gate = MakeGate(Config(GateFile("order.safetensors")), {"c", "a"}, 2);
  ASSERT_TRUE(gate.ok()) << gate.status();
  CounterRandom random(1, 1);
  std::vector<float> logits(2);
  (*gate)->Score({3.0f, 4.0f}, {}, random, absl::MakeSpan(logits));
  EXPECT_THAT(logits, ElementsAre(10, 11.5f));
}

TEST(TopkSoftmaxGate, NamesAnExpertThatTheFileLacks) {
  const auto gate = MakeGate(Config(GateFile("lacks.safetensors")), {"a", "d"}, 2);
  EXPECT_EQ(gate.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(gate.status().message()),
              HasSubstr("knows no expert \"d\": it was trained for a, b, c"));
}

TEST(TopkSoftmaxGate, RefusesAnotherNumberOfFeatures) {
  const auto gate = MakeGate(Config(GateFile("features.safetensors")), {"a", "b"}, 49);
  EXPECT_THAT(std::string(gate.status().message()),
              HasSubstr("was trained on 2 features, but the pool's features give 49"));
}

TEST(TopkSoftmaxGate, RefusesWeightsThatAreNotFinite) {
  const std::string path = ProcessTempDir() + "nan.safetensors";
  ASSERT_TRUE(
      WriteSafetensors(path, {{"weight", {1, 1}, {std::nanf("")}}}, {{"experts", R"(["a"])"}})
          .ok());
  EXPECT_THAT(std::string(MakeGate(Config(path), {"a"}, 1).status().message()),
              HasSubstr("not finite"));
}

TEST(TopkSoftmaxGate, MasksWithMinusInfinity) {
  const auto gate = MakeGate(Config(GateFile("mask.safetensors")), {"a", "b", "c"}, 2);
  ASSERT_TRUE(gate.ok()) << gate.status();
  CounterRandom random(1, 1);
  std::vector<float> logits(3);
  const std::vector<uint8_t> admissible = {0, 1, 1};
  (*gate)->Score({3.0f, 4.0f}, admissible, random, absl::MakeSpan(logits));
  EXPECT_THAT(logits, ElementsAre(-std::numeric_limits<float>::infinity(), -3, 10));
}

TEST(TopkSoftmaxGate, ScoresARowAsItScoresARequest) {
  const auto gate = MakeGate(Config(GateFile("rows.safetensors")), {"a", "b", "c"}, 2);
  ASSERT_TRUE(gate.ok()) << gate.status();
  CounterRandom random(1, 1);
  const std::vector<float> z = {0.1f, 0.2f, -7.3f, 1e-3f, 5, 6};
  std::vector<float> rows(9), one(3);
  (*gate)->ScoreRows(3, z, {}, random, absl::MakeSpan(rows));
  (*gate)->Score(absl::MakeConstSpan(z).subspan(2, 2), {}, random, absl::MakeSpan(one));
  EXPECT_EQ(std::vector<float>(rows.begin() + 3, rows.begin() + 6), one);
}

TEST(TopkSoftmaxGate, HasEqualLogitsWithoutAFile) {
  const auto gate = MakeGate({}, {"a", "b"}, 784);
  ASSERT_TRUE(gate.ok()) << gate.status();
  EXPECT_EQ((*gate)->dimension(), 0u);
  EXPECT_EQ((*gate)->k(), 1u);
  CounterRandom random(1, 1);
  std::vector<float> logits = {3, 4};
  (*gate)->Score({}, {}, random, absl::MakeSpan(logits));
  EXPECT_THAT(logits, ElementsAre(0, 0));
}

TEST(TopkSoftmaxGate, RefusesMoreExpertsThanThereAre) {
  config::v1::Gate config;
  config.mutable_topk_softmax()->set_k(9);
  EXPECT_THAT(std::string(MakeGate(config, {"a", "b"}, 0).status().message()),
              HasSubstr("topk_softmax.k is 9, but the pool has 2 experts"));
}

}  // namespace
}  // namespace penstock::router
