#include "router_service/quality/cascade_quality.h"

#include <cmath>

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

TEST(CascadeQuality, NamesAnExpertThatTheFileLacks) {
  const auto model = CascadeQuality::FromTensors(*File("c3.safetensors"), "c3", {"small", "huge"});
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("knows no expert \"huge\""));
}

}  // namespace
}  // namespace penstock::router
