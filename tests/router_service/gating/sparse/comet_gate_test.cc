#include "router_service/gating/sparse/comet_gate.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/gating/weights/comet_weights.h"
#include "tests/router_service/gating/sparse/gate_fixture.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

const std::vector<std::string> kAll = {"a", "b", "c", "d"};

config::v1::Gate Config(const std::string& file) {
  config::v1::Gate config;
  config.mutable_comet()->set_file(file);
  return config;
}

// One tree; node 0 reads z, the others and the leaves are constant.
std::string OneTree(const std::vector<float>& leaf_expert) {
  return WriteGate("comet", {{"nodes", {1, 3, 1}, {1, 0, 0}},
                             {"nodes_bias", {1, 3}, {0, 0.6f, -0.6f}},
                             {"leaves", {1, 4, 1}, {0, 0, 0, 0}},
                             {"leaves_bias", {1, 4}, {0, 1, 2, 3}},
                             {"leaf_expert", {1, 4}, leaf_expert},
                             {"width", {1}, {1}}});
}

TEST(CometGate, WeighsTheLeavesThatAreReached) {
  const auto gate = Made(Config(OneTree({0, 1, 2, 3})), kAll, 1);
  EXPECT_THAT(Mass(*gate, {0.25f}),
              ElementsAre(FloatNear(0.211885f, 1e-6f), 0, 0, FloatNear(0.788115f, 1e-6f)));
  EXPECT_EQ(gate->k(), 1u);
}

TEST(CometGate, LeavesBelongToTheExpertsThatTheFileSays) {
  const auto gate = Made(Config(OneTree({2, 1, 0, 3})), kAll, 1);
  EXPECT_THAT(Mass(*gate, {0.25f}),
              ElementsAre(0, 0, FloatNear(0.211885f, 1e-6f), FloatNear(0.788115f, 1e-6f)));
}

TEST(CometGate, RenumberingExpertsAndLeavesTogetherChangesNothing) {
  const auto gate = Made(Config(OneTree({0, 1, 2, 3})), kAll, 1);
  const std::string renamed = WriteGate("comet",
                                        {{"nodes", {1, 3, 1}, {1, 0, 0}},
                                         {"nodes_bias", {1, 3}, {0, 0.6f, -0.6f}},
                                         {"leaves", {1, 4, 1}, {0, 0, 0, 0}},
                                         {"leaves_bias", {1, 4}, {0, 1, 2, 3}},
                                         {"leaf_expert", {1, 4}, {3, 2, 0, 1}},
                                         {"width", {1}, {1}}},
                                        {{"experts", R"(["c", "d", "b", "a"])"}});
  const auto other = Made(Config(renamed), kAll, 1);
  for (const float z : {-0.4f, 0.0f, 0.1f, 0.25f, 2.0f}) {
    EXPECT_EQ(Mass(*gate, {z}), Mass(*other, {z})) << z;
  }
}

TEST(CometGate, TreesShareOneSoftmax) {
  const std::string file = WriteGate("comet", {{"nodes", {2, 3, 1}, {0, 0, 0, 0, 0, 0}},
                                               {"nodes_bias", {2, 3}, {1, 1, 0, -1, 0, 1}},
                                               {"leaves", {2, 4, 1}, std::vector<float>(8, 0)},
                                               {"leaves_bias", {2, 4}, {0, 9, 9, 9, 9, 9, 1, 9}},
                                               {"leaf_expert", {2, 4}, {0, 1, 2, 3, 0, 1, 2, 3}},
                                               {"width", {1}, {1}}});
  const auto gate = Made(Config(file), kAll, 1);
  EXPECT_EQ(gate->k(), 2u);
  EXPECT_THAT(Mass(*gate, {5}),
              ElementsAre(FloatNear(0.268941f, 1e-6f), 0, FloatNear(0.731059f, 1e-6f), 0));
}

// Random trees, unsaturated to fully saturated, against the evaluation of all leaves.
TEST(CometGate, LazyAgreesWithFullEvaluation) {
  constexpr int64_t kExperts = 11, kTrees = 3, kFeatures = 4;
  for (const double spread : {0.1, 0.5, 3.0}) {
    CounterRandom random(17, static_cast<uint64_t>(spread * 10));
    const auto draw = [&](int64_t count, double scale) {
      std::vector<float> values(static_cast<size_t>(count));
      for (float& value : values) value = static_cast<float>(scale * (2 * random.Uniform() - 1));
      return values;
    };
    const std::vector<float> nodes = draw(kTrees * (kExperts - 1) * kFeatures, spread);
    const std::vector<float> leaves = draw(kTrees * kExperts * kFeatures, 1);
    std::vector<size_t> leaf_expert = LeavesInOrder(kExperts, kTrees);
    std::swap(leaf_expert[2], leaf_expert[7]);
    std::swap(leaf_expert[11], leaf_expert[20]);
    std::vector<std::string> names;
    for (int64_t i = 0; i < kExperts; ++i) names.push_back(absl::StrCat("e", i));
    const std::string file =
        WriteGate("comet",
                  {{"nodes", {kTrees, kExperts - 1, kFeatures}, nodes},
                   {"leaves", {kTrees, kExperts, kFeatures}, leaves},
                   {"leaf_expert", {kTrees, kExperts}, {leaf_expert.begin(), leaf_expert.end()}},
                   {"width", {1}, {1}}},
                  {{"experts", absl::StrCat("[\"", absl::StrJoin(names, "\", \""), "\"]")}});
    const auto gate = Made(Config(file), names, kFeatures);
    const CometWeights full({kExperts, kTrees, 1, 0, leaf_expert});
    for (int request = 0; request < 20; ++request) {
      const std::vector<float> z = draw(kFeatures, 1);
      std::vector<double> heads, expected(kExperts);
      const auto score = [&](const std::vector<float>& weight, size_t head) {
        double sum = 0;
        for (size_t j = 0; j < z.size(); ++j) sum += double{weight[head * z.size() + j]} * z[j];
        heads.push_back(sum);
      };
      for (size_t tree = 0; tree < kTrees; ++tree) {
        for (size_t v = 0; v < kExperts - 1; ++v) score(nodes, tree * (kExperts - 1) + v);
        for (size_t i = 0; i < kExperts; ++i) score(leaves, tree * kExperts + i);
      }
      full.Forward(heads, {}, absl::MakeSpan(expected));
      const std::vector<float> mass = Mass(*gate, z);
      for (size_t i = 0; i < mass.size(); ++i) {
        EXPECT_NEAR(mass[i], expected[i], 1e-6);
        EXPECT_EQ(mass[i] == 0, expected[i] == 0);
      }
    }
  }
}

TEST(CometGate, TakesAnotherWayWhereNoAdmissibleExpertIsReached) {
  const auto gate = Made(Config(OneTree({0, 1, 2, 3})), kAll, 1);
  EXPECT_THAT(Mass(*gate, {2}), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(Mass(*gate, {2}, {0, 1, 1, 1}), ElementsAre(0, 1, 0, 0));
  EXPECT_THAT(Mass(*gate, {2}, {0, 0, 1, 1}), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(Mass(*Made(Config(OneTree({0, 1, 2, 3})), {"c", "b"}, 1), {2}), ElementsAre(0, 1));
}

TEST(CometGate, ScoresARowAsItScoresARequest) {
  ExpectRowsLikeRequests(*Made(Config(OneTree({3, 1, 2, 0})), kAll, 1), {0.1f, -0.2f, 9});
}

TEST(CometGate, RefusesFilesThatDoNotFit) {
  EXPECT_THAT(Refusal(Config(OneTree({0, 1, 1, 3})), kAll, 1),
              HasSubstr("leaf_expert of tree 0 has 1 at leaf 2, wanted each of 0 to 3 once"));
  EXPECT_THAT(Refusal(Config(OneTree({0, 1, 2, 4})), kAll, 1), HasSubstr("has 4 at leaf 3"));
  EXPECT_THAT(Refusal(Config(OneTree({0, 1, 0.5f, 3})), kAll, 1), HasSubstr("has 0.5 at leaf 2"));
  EXPECT_THAT(Refusal(Config(OneTree({0, 1, 2, 3})), kAll, 7),
              HasSubstr("was trained on 1 features, but the pool's features give 7"));
}

}  // namespace
}  // namespace penstock::router
