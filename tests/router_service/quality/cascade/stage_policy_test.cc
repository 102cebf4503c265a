#include "router_service/quality/cascade/stage_policy.h"

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/quality/cascade/bin_policy.h"
#include "router_service/quality/cascade/bypass_gate.h"
#include "router_service/quality/cascade/fixed_confidence.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::shared_ptr<const Safetensors> File(const std::string& name,
                                        const std::vector<SafetensorsTensor>& tensors,
                                        const std::map<std::string, std::string>& metadata) {
  const std::string path = ProcessTempDir() + name;
  EXPECT_TRUE(WriteSafetensors(path, tensors, metadata).ok());
  return *Safetensors::Open(path);
}

const std::vector<std::string> kPool = {"large", "small"};

TEST(BinPolicy, GivesUpAtTheBottomAndAcceptsAtTheTop) {
  const auto file =
      File("bins.safetensors", {{"edges", {2}, {0.3f, 0.8f}}, {"goes_on", {3}, {0, 1, 0}}},
           {{"policy", "automix"}, {"stages", "small,large"}});
  const auto policy = ReadStagePolicy(*file, "bins", kPool);
  ASSERT_TRUE(policy.ok()) << policy.status();
  const AnswerConfidence row{0.9f, 0.1f};
  const auto stands = [&](float p_right) {
    const std::vector<float> quality = {0.9f, p_right};
    ExitState state;
    return (*policy)->Stands({1, {&row, 1}, quality}, state);
  };
  EXPECT_TRUE(stands(0.29f));
  EXPECT_FALSE(stands(0.3f));  // an edge belongs to the bin above
  EXPECT_FALSE(stands(0.79f));
  EXPECT_TRUE(stands(0.8f));
  EXPECT_FALSE(stands(std::numeric_limits<float>::quiet_NaN()));
  EXPECT_THAT((*policy)->After(1), ElementsAre(0));
  EXPECT_TRUE((*policy)->After(0).empty());
  EXPECT_EQ((*policy)->bypass(), nullptr);
}

TEST(BypassGate, SendsOnWhatTheFirstStageDoesNotSuffice) {
  const auto file = File(
      "bypass.safetensors",
      {{"bypass_weight", {2}, {2, 0}}, {"bypass_bias", {1}, {0}}, {"bypass_least", {1}, {0.5f}}},
      {{"policy", "bypass"}, {"stages", "small,large"}});
  const auto policy = ReadStagePolicy(*file, "bypass", kPool);
  ASSERT_TRUE(policy.ok()) << policy.status();
  const BypassGate* gate = (*policy)->bypass();
  ASSERT_NE(gate, nullptr);
  EXPECT_EQ(gate->first(), 1u);
  EXPECT_EQ(gate->last(), 0u);
  EXPECT_TRUE(gate->Suffices(std::vector<float>{1, 7}));
  EXPECT_FALSE(gate->Suffices(std::vector<float>{-1, 7}));
  EXPECT_FALSE(gate->Suffices(FeatureView::Unknown()));
  EXPECT_NEAR(gate->PSuffices({1, 7}), 0.8808, 5e-5);
}

TEST(BypassGate, AnInfiniteThresholdAlwaysGoesToTheLast) {
  const BypassGate gate(StageList{{1, 0}}, {100}, 100, std::numeric_limits<float>::infinity());
  EXPECT_FALSE(gate.Suffices(std::vector<float>{100}));
}

TEST(FixedConfidence, StandsFromItsConfidenceOn) {
  const FixedConfidence policy({0.0f, 0.9f}, {0, 0});
  EXPECT_TRUE(policy.After(0).empty());
  EXPECT_THAT(policy.After(1), ElementsAre(0));
  ExitState state;
  const std::vector<float> quality = {0, 0};
  // The mean over the rows.
  const std::vector<AnswerConfidence> sure = {{0.85f, 0.1f}, {0.96f, 0}};
  const std::vector<AnswerConfidence> unsure = {{0.85f, 0.1f}, {0.94f, 0}};
  EXPECT_TRUE(policy.Stands({1, sure, quality}, state));
  EXPECT_FALSE(policy.Stands({1, unsure, quality}, state));
}

TEST(FixedConfidence, LooksItsNextUpInThePool) {
  // In the file: small, huge, large; huge is not in the pool.
  const auto file =
      File("fixed.safetensors",
           {{"fixed_from", {3}, {0.9f, 0, 0.5f}}, {"fixed_next", {3}, {2, 1, 1}}}, {});
  const auto policy = FixedConfidence::Read(*file, "fixed", {2, 0}, 3);
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_THAT((*policy)->After(1), ElementsAre(0));
  EXPECT_TRUE((*policy)->After(0).empty());  // huge would come after large
}

TEST(StagePolicy, NamesWhatTheFileLacks) {
  const auto message = [](const std::string& name, const std::vector<SafetensorsTensor>& tensors,
                          const std::map<std::string, std::string>& metadata) {
    const auto file = File(name, tensors, metadata);
    return std::string(ReadStagePolicy(*file, "f", kPool).status().message());
  };
  EXPECT_THAT(message("p1.safetensors", {}, {{"policy", "magic"}, {"stages", "small,large"}}),
              HasSubstr("policy is \"magic\", wanted automix, jei or bypass"));
  EXPECT_THAT(message("p2.safetensors", {}, {{"policy", "jei"}}), HasSubstr("no metadata"));
  EXPECT_THAT(message("p3.safetensors", {}, {{"policy", "jei"}, {"stages", "small,large"}}),
              HasSubstr("exit_weight"));
  EXPECT_THAT(message("p4.safetensors", {{"edges", {2}, {0.8f, 0.3f}}, {"goes_on", {3}, {0, 1, 0}}},
                      {{"policy", "automix"}, {"stages", "small,large"}}),
              HasSubstr("edges do not ascend"));
}

TEST(StagePolicy, ATensorOfNoSizeIsRefused) {
  const auto refused = [](const std::string& name, const std::vector<SafetensorsTensor>& tensors,
                          const std::string& policy) {
    const auto file = File(name, tensors, {{"policy", policy}, {"stages", "small,large"}});
    return std::string(ReadStagePolicy(*file, "f", kPool).status().message());
  };
  EXPECT_THAT(refused("z1.safetensors", {{"edges", {0}, {}}, {"goes_on", {0}, {}}}, "automix"),
              HasSubstr("goes_on has no bins"));
  EXPECT_THAT(refused("z2.safetensors", {{"edges", {0}, {}}, {"goes_on", {2}, {0, 1}}}, "automix"),
              HasSubstr("edges"));
  EXPECT_THAT(refused("z3.safetensors", {{"exit_weight", {0, 5}, {}}}, "jei"),
              HasSubstr("exit_weight"));
  EXPECT_THAT(refused("z4.safetensors", {{"exit_weight", {1, 0}, {}}}, "jei"),
              HasSubstr("exit_weight"));
  EXPECT_THAT(
      refused(
          "z5.safetensors",
          {{"bypass_weight", {2}, {1, 1}}, {"bypass_bias", {0}, {}}, {"bypass_least", {1}, {0.5f}}},
          "bypass"),
      HasSubstr("bypass_bias"));
  EXPECT_THAT(
      refused(
          "z6.safetensors",
          {{"bypass_weight", {2}, {1, 1}}, {"bypass_bias", {1}, {0}}, {"bypass_least", {0}, {}}},
          "bypass"),
      HasSubstr("bypass_least"));
  const auto fixed = File("z7.safetensors", {{"fixed_from", {0}, {}}, {"fixed_next", {0}, {}}}, {});
  EXPECT_THAT(std::string(FixedConfidence::Read(*fixed, "f", {0, 1}, 2).status().message()),
              HasSubstr("fixed_from"));
}

TEST(BypassGate, OfNoFeaturesSufficesByItsOffsetAlone) {
  const auto file =
      File("z8.safetensors",
           {{"bypass_weight", {0}, {}}, {"bypass_bias", {1}, {2}}, {"bypass_least", {1}, {0.5f}}},
           {{"policy", "bypass"}, {"stages", "small,large"}});
  const auto policy = ReadStagePolicy(*file, "bypass", kPool);
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ((*policy)->bypass()->dimension(), 0u);
  EXPECT_TRUE((*policy)->bypass()->Suffices(std::vector<float>{}));
  EXPECT_FALSE((*policy)->bypass()->Suffices(std::vector<float>{1}));
}

}  // namespace
}  // namespace penstock::router
