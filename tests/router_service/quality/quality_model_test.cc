#include "router_service/quality/quality_model.h"

#include <cmath>

#include "common/tensors/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

config::v1::Pool PoolOf(const std::vector<std::string>& names) {
  config::v1::Pool pool;
  pool.set_name("p");
  for (const std::string& name : names) pool.add_experts()->set_name(name);
  return pool;
}

TEST(ConstantQuality, TakesTheConfiguredQualityOrOneHalf) {
  config::v1::Pool pool = PoolOf({"a", "b"});
  pool.mutable_experts(1)->set_quality(0.75);
  const auto model = MakeQualityModel(pool, 5);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> quality(2);
  (*model)->Predict(FeatureView(), absl::MakeSpan(quality));
  EXPECT_THAT(quality, ElementsAre(0.5f, 0.75f));
}

TEST(ConstantQuality, RefusesAQualityOutsideItsRange) {
  config::v1::Pool pool = PoolOf({"a"});
  pool.mutable_experts(0)->set_quality(1.5);
  EXPECT_THAT(std::string(MakeQualityModel(pool, 5).status().message()),
              HasSubstr("quality of expert \"a\" is 1.5"));
}

std::string QualityFile(const std::string& name, std::vector<float> mean) {
  const std::string path = ProcessTempDir() + name;
  EXPECT_TRUE(WriteSafetensors(path,
                               {{"weight", {2, 2}, {1, 0, 0, -1}},
                                {"bias", {2}, {0, std::log(3.0f)}},
                                {"mean", {2}, mean}},
                               {{"experts", R"(["a", "b"])"}})
                  .ok());
  return path;
}

TEST(LogisticQuality, PredictsByName) {
  config::v1::Pool pool = PoolOf({"b", "a"});
  pool.set_quality_file(QualityFile("q1.safetensors", {0.25f, 0.5f}));
  const auto model = MakeQualityModel(pool, 2);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> quality(2);
  (*model)->Predict(std::vector<float>{std::log(4.0f), 0.0f}, absl::MakeSpan(quality));
  EXPECT_THAT(quality, ElementsAre(FloatNear(0.75f, 1e-6f), FloatNear(0.8f, 1e-6f)));
}

TEST(LogisticQuality, FallsBackToTheMeansWhenAFeatureIsNotFinite) {
  config::v1::Pool pool = PoolOf({"b", "a"});
  pool.set_quality_file(QualityFile("q2.safetensors", {0.25f, 0.5f}));
  const auto model = MakeQualityModel(pool, 2);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> quality(2);
  (*model)->Predict(std::vector<float>{std::nanf(""), 0.0f}, absl::MakeSpan(quality));
  EXPECT_THAT(quality, ElementsAre(0.5f, 0.25f));
}

TEST(LogisticQuality, NamesAnExpertThatTheFileLacks) {
  config::v1::Pool pool = PoolOf({"a", "z"});
  pool.set_quality_file(QualityFile("q3.safetensors", {0.25f, 0.5f}));
  EXPECT_THAT(std::string(MakeQualityModel(pool, 2).status().message()),
              HasSubstr("knows no expert \"z\""));
}

TEST(LogisticQuality, RefusesAMeanOutsideItsRange) {
  config::v1::Pool pool = PoolOf({"a"});
  pool.set_quality_file(QualityFile("q4.safetensors", {1.25f, 0.5f}));
  EXPECT_EQ(MakeQualityModel(pool, 2).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::router
