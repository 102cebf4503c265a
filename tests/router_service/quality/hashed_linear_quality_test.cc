#include "router_service/quality/hashed_linear_quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "router_service/features/text_features.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

// Buckets 3 and 5 are known; idf 2 and 1, so (1, 1) becomes (2, 1)/sqrt(5).
HashedLinearQuality::Parameters TwoExperts() {
  HashedLinearQuality::Parameters p;
  p.experts = {"a", "b"};
  p.buckets = 256;
  p.columns = {3, 5};
  p.idf = {2, 1};
  p.idf_unseen = 3;
  p.squares = {7, 2};
  p.lambda = 2;
  p.weight = {0.2f, -0.1f, 0.5f, 0,  //
              0.1f, 0.3f, 0, 1};
  p.mean = {0.5f, 0.6f};
  p.residual = {0.4f, 0.5f};
  p.length_mean = {1, 2};
  p.work_scale = {std::exp(-1.0f), std::exp(-2.0f)};
  p.mean_quality = {0.55f, 0.65f};
  p.mean_joules = {10, 0};
  p.mean_tokens = {100, 0};
  return p;
}

struct Said {
  std::vector<float> quality = std::vector<float>(2), uncertainty = quality, work = quality;
};

Said Ask(const QualityModel& model, const std::vector<uint32_t>& at, const std::vector<float>& value) {
  Said said;
  model.Predict(FeatureView({}, at, value),
                {absl::MakeSpan(said.quality), absl::MakeSpan(said.uncertainty),
                 absl::MakeSpan(said.work)});
  return said;
}

config::v1::Pool PoolOf(const std::vector<std::string>& names, const std::string& file) {
  config::v1::Pool pool;
  for (const std::string& name : names) pool.add_experts()->set_name(name);
  pool.mutable_features()->mutable_text()->set_bits(8);
  pool.set_quality_file(file);
  return pool;
}

std::string Write(const TempDir& dir, const HashedLinearQuality::Parameters& parameters,
                  size_t most_float_bytes = HashedLinearQuality::kMostFloatBytes) {
  const std::string path = dir.File("quality.safetensors");
  const auto tensors = HashedLinearQuality::Tensors(parameters, most_float_bytes);
  auto metadata = HashedLinearQuality::Metadata(parameters, tensors);
  config::v1::TextFeatures features;
  features.set_bits(8);
  metadata["features"] = TextFeaturesMetadata(features);
  EXPECT_TRUE(WriteSafetensors(path, tensors, metadata).ok());
  return path;
}

TEST(HashedLinearQuality, KnownAnswer) {
  const auto model = HashedLinearQuality::FromParameters(TwoExperts());
  const Said said = Ask(*model, {3, 5}, {1, 1});
  const float root = std::sqrt(5.0f);
  EXPECT_THAT(said.quality,
              ElementsAre(FloatNear(0.5f + (2 * 0.2f + 0.1f) / root, 1e-6f),
                          FloatNear(0.6f + (-2 * 0.1f + 0.3f) / root, 1e-6f)));
  EXPECT_THAT(said.work, ElementsAre(FloatNear(std::exp(2 * 0.5f / root), 1e-5f),
                                     FloatNear(std::exp(1 / root), 1e-5f)));
  // 0.8 / 9 + 0.2 / 4
  const float leverage = 0.8f / 9 + 0.2f / 4;
  EXPECT_THAT(said.uncertainty, ElementsAre(FloatNear(0.4f * std::sqrt(leverage), 1e-6f),
                                            FloatNear(0.5f * std::sqrt(leverage), 1e-6f)));
}

TEST(HashedLinearQuality, WordsNeverSeenPullTowardsTheMeanAndAreLeastSure) {
  const auto model = HashedLinearQuality::FromParameters(TwoExperts());
  const Said unseen = Ask(*model, {9}, {1}), seen = Ask(*model, {3}, {1}),
             both = Ask(*model, {3, 9}, {1, 1});
  EXPECT_THAT(unseen.quality, ElementsAre(0.5f, 0.6f));
  EXPECT_LT(std::abs(both.quality[0] - 0.5f), std::abs(seen.quality[0] - 0.5f));
  EXPECT_FLOAT_EQ(unseen.uncertainty[0], 0.4f / std::sqrt(2.0f));
  EXPECT_LT(seen.uncertainty[0], both.uncertainty[0]);
}

TEST(HashedLinearQuality, SaysTheMeansOfARequestThatIsUnknown) {
  const auto model = HashedLinearQuality::FromParameters(TwoExperts());
  std::vector<float> quality(2), work(2);
  model->Predict(FeatureView::Unknown(), {absl::MakeSpan(quality), {}, absl::MakeSpan(work)});
  EXPECT_THAT(quality, ElementsAre(0.55f, 0.65f));
  EXPECT_THAT(work, ElementsAre(1, 1));
  const Said beyond = Ask(*model, {256}, {1});
  EXPECT_THAT(beyond.quality, ElementsAre(0.55f, 0.65f));
  const Said nan = Ask(*model, {3}, {std::nanf("")});
  EXPECT_THAT(nan.quality, ElementsAre(0.55f, 0.65f));
  EXPECT_THAT(nan.work, ElementsAre(1, 1));
}

TEST(HashedLinearQuality, StaysWithinItsRange) {
  HashedLinearQuality::Parameters p = TwoExperts();
  p.weight[0] = 50;
  p.weight[1] = -50;
  const Said said = Ask(*HashedLinearQuality::FromParameters(p), {3}, {1});
  EXPECT_THAT(said.quality, ElementsAre(FloatNear(0.99f, 1e-4f), FloatNear(0.01f, 1e-4f)));
}

TEST(HashedLinearQuality, TheLargerScoreStaysLargerAtTheEndsOfTheRange) {
  for (const float score : {0.02f, 0.3f, 0.5f, 0.98f}) {
    EXPECT_EQ(HashedLinearQuality::Bounded(score), score);
  }
  float before = HashedLinearQuality::Bounded(-1.001f);
  EXPECT_GT(before, 0.01f);
  for (int i = -100; i <= 200; ++i) {
    const float bounded = HashedLinearQuality::Bounded(static_cast<float>(i) / 100);
    EXPECT_GT(bounded, before) << i;
    before = bounded;
  }
  EXPECT_LT(before, 0.99f);
  // Half of the way, one width beyond the knee.
  EXPECT_FLOAT_EQ(HashedLinearQuality::Bounded(0.99f), 0.985f);
  EXPECT_FLOAT_EQ(HashedLinearQuality::Bounded(0.01f), 0.015f);
}

TEST(HashedLinearQuality, AFileGivesTheSameBitsByName) {
  TempDir dir;
  const auto pool = PoolOf({"b", "a"}, Write(dir, TwoExperts()));
  const auto model = MakeQualityModel(pool, 0);
  ASSERT_TRUE(model.ok()) << model.status();
  const Said straight = Ask(*HashedLinearQuality::FromParameters(TwoExperts()), {3, 5}, {1, 2});
  const Said turned = Ask(**model, {3, 5}, {1, 2});
  EXPECT_EQ(turned.quality[0], straight.quality[1]);
  EXPECT_EQ(turned.quality[1], straight.quality[0]);
  EXPECT_EQ(turned.work[0], straight.work[1]);
  EXPECT_EQ(turned.uncertainty[1], straight.uncertainty[0]);
  EXPECT_THAT((*model)->mean_joules(), ElementsAre(0, 10));
}

TEST(HashedLinearQuality, LargeModelsAreKeptInBytes) {
  TempDir dir;
  const auto model = MakeQualityModel(PoolOf({"a", "b"}, Write(dir, TwoExperts(), 8)), 0);
  ASSERT_TRUE(model.ok()) << model.status();
  const Said exact = Ask(*HashedLinearQuality::FromParameters(TwoExperts()), {3, 5}, {1, 2});
  const Said rounded = Ask(**model, {3, 5}, {1, 2});
  // Half a step of the largest weight of a column, 1 / 254, times the sum of |x| <= sqrt(2).
  EXPECT_NEAR(rounded.quality[0], exact.quality[0], 1.5 / 254);
  EXPECT_NEAR(rounded.work[1], exact.work[1], exact.work[1] * 2.0 / 254);
}

TEST(HashedLinearQuality, RefusesADamagedFile) {
  TempDir dir;
  const std::string path = Write(dir, TwoExperts());
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x41');  // of a weight of 1, 0x3f800000
  file.close();
  EXPECT_EQ(MakeQualityModel(PoolOf({"a", "b"}, path), 0).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(HashedLinearQuality, RefusesOtherFeaturesThanItWasTrainedOn) {
  TempDir dir;
  config::v1::Pool pool = PoolOf({"a", "b"}, Write(dir, TwoExperts()));
  pool.mutable_features()->mutable_text()->set_bits(9);
  EXPECT_THAT(std::string(MakeQualityModel(pool, 0).status().message()), HasSubstr("bits=8"));
  pool.clear_features();
  EXPECT_THAT(std::string(MakeQualityModel(pool, 0).status().message()), HasSubstr("no text"));
}

TEST(HashedLinearQuality, NamesAnExpertThatTheFileLacks) {
  TempDir dir;
  EXPECT_THAT(std::string(
                  MakeQualityModel(PoolOf({"a", "z"}, Write(dir, TwoExperts())), 0)
                      .status()
                      .message()),
              HasSubstr("knows no expert \"z\""));
}

}  // namespace
}  // namespace penstock::router
