#include "router_service/quality/cascade_quality.h"

#include <cmath>
#include <limits>

#include "common/tensors/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

// small standing: its own P(right) is p_max itself, large's is always 0.9. large cannot stand.
std::shared_ptr<const Safetensors> File(const std::string& name) {
  const std::string path = ProcessTempDir() + name;
  EXPECT_TRUE(
      WriteSafetensors(path,
                       {{"weight", {2, 2, 3}, {0, 1, 0, std::log(9.0f), 0, 0, 0, 0, 0, 0, 0, 0}},
                        {"can_stand", {2}, {1, 0}}},
                       {{"experts", R"(["small", "large"])"}})
          .ok());
  return *Safetensors::Open(path);
}

TEST(CascadeQuality, PredictsStandingAndAsked) {
  const auto model = CascadeQuality::FromTensors(*File("c1.safetensors"), "c1", {"large", "small"});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE((*model)->CanStand(1));
  EXPECT_FALSE((*model)->CanStand(0));
  std::vector<float> quality(2);
  const AnswerConfidence row{0.6f, 0.3f};
  (*model)->Predict(1, absl::MakeConstSpan(&row, 1), absl::MakeSpan(quality));
  EXPECT_NEAR(quality[1], 0.6, 1e-6);
  EXPECT_NEAR(quality[0], 0.9, 1e-6);
}

TEST(CascadeQuality, AveragesOverRows) {
  const auto model = CascadeQuality::FromTensors(*File("c2.safetensors"), "c2", {"small", "large"});
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<AnswerConfidence> rows = {{0.6f, 0.3f}, {0.8f, 0.1f}};
  std::vector<float> quality(2);
  (*model)->Predict(0, rows, absl::MakeSpan(quality));
  EXPECT_NEAR(quality[0], 0.7, 1e-6);
}

// As File, calibrated to a risk: `stages`, which an answer that leads by 0.05 ends.
std::shared_ptr<const Safetensors> Calibrated(const std::string& name, const std::string& stages,
                                              float least_lead = 0.05f) {
  const std::string path = ProcessTempDir() + name;
  EXPECT_TRUE(
      WriteSafetensors(path,
                       {{"weight", {2, 2, 3}, {0, 1, 0, std::log(9.0f), 0, 0, 0, 0, 0, 0, 0, 0}},
                        {"can_stand", {2}, {1, 0}},
                        {"least_lead", {1}, {least_lead}}},
                       {{"experts", R"(["small", "large"])"}, {"stages", stages}})
          .ok());
  return *Safetensors::Open(path);
}

bool SmallMayStand(const CascadeQuality& model, float confidence) {
  std::vector<float> quality(2);
  const AnswerConfidence row{confidence, 1 - confidence};
  model.Predict(1, absl::MakeConstSpan(&row, 1), absl::MakeSpan(quality));
  return model.stages()->MayStand(1, quality);
}

TEST(CascadeQuality, ReadsTheStagesOfAStatedRisk) {
  const auto model = CascadeQuality::FromTensors(*Calibrated("s1.safetensors", "small,large"), "s1",
                                                 {"large", "small"});
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_TRUE((*model)->stages().has_value());
  const CascadeStages& stages = *(*model)->stages();
  EXPECT_THAT(stages.experts, testing::ElementsAre(1, 0));
  EXPECT_THAT(stages.After(1), testing::ElementsAre(0));
  EXPECT_TRUE(stages.After(0).empty());
  // large is right with .9, so small must be with more than .95.
  EXPECT_TRUE(SmallMayStand(**model, 0.96f));
  EXPECT_FALSE(SmallMayStand(**model, 0.94f));
  EXPECT_FALSE((*CascadeQuality::FromTensors(*File("s2.safetensors"), "s2", {"small", "large"}))
                   ->stages()
                   .has_value());
}

TEST(CascadeQuality, AnInfiniteLeadNeverStandsAndAnInfiniteLagAlways) {
  const auto infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::string> pool = {"large", "small"};
  const auto never = CascadeQuality::FromTensors(
      *Calibrated("s3.safetensors", "small,large", infinity), "s3", pool);
  const auto always = CascadeQuality::FromTensors(
      *Calibrated("s4.safetensors", "small,large", -infinity), "s4", pool);
  ASSERT_TRUE(never.ok() && always.ok());
  EXPECT_FALSE(SmallMayStand(**never, 1));
  EXPECT_TRUE(SmallMayStand(**always, 0.5f));
}

TEST(CascadeQuality, RefusesStagesThatItCannotServe) {
  const auto message = [](const Safetensors& file, const std::vector<std::string>& pool) {
    return std::string(CascadeQuality::FromTensors(file, "f", pool).status().message());
  };
  EXPECT_THAT(message(*Calibrated("s5.safetensors", "small,large"), {"small"}),
              HasSubstr("\"large\" is no expert of the pool"));
  EXPECT_THAT(message(*Calibrated("s6.safetensors", "large,small"), {"small", "large"}),
              HasSubstr("stage \"large\" answers, but can_stand is 0"));
  EXPECT_THAT(message(*Calibrated("s7.safetensors", "small,small"), {"small", "large"}),
              HasSubstr("stands twice"));
  EXPECT_THAT(message(*Calibrated("s8.safetensors", "small"), {"small", "large"}),
              HasSubstr("wanted at least 2"));
  EXPECT_THAT(message(*Calibrated("s9.safetensors", "small,large", std::nanf("")),
                      {"small", "large"}),
              HasSubstr("least_lead is no number"));
}

TEST(CascadeQuality, NamesAnExpertThatTheFileLacks) {
  const auto model = CascadeQuality::FromTensors(*File("c3.safetensors"), "c3", {"small", "huge"});
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("knows no expert \"huge\""));
}

}  // namespace
}  // namespace penstock::router
