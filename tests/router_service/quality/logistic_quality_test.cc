#include "router_service/quality/logistic_quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/tensors/safetensors.h"
#include "router_service/learning/trainer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

TEST(LogisticQualitySpread, IsSurerWhereRowsWere) {
  TempDir dir;
  const std::string path = dir.File("quality.safetensors");
  ASSERT_TRUE(WriteSafetensors(path,
                               {{"weight", {1, 2}, {0, 0}},
                                {"bias", {1}, {0}},
                                {"mean", {1}, {0.5f}},
                                {"feature_mean", {2}, {1, 0}},
                                {"feature_squares", {2}, {3, 99}},
                                {"rows", {1}, {100}},
                                {"curvature", {1}, {0.25f}}},
                               {{"experts", R"(["a"])"}})
                  .ok());
  config::v1::Pool pool;
  pool.add_experts()->set_name("a");
  pool.set_quality_file(path);
  const auto model = MakeQualityModel(pool, 2);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> quality(1), sd(1), work(1);
  const auto deviation = [&](std::vector<float> z) {
    (*model)->Predict(z, {absl::MakeSpan(quality), absl::MakeSpan(sd), absl::MakeSpan(work)});
    return sd[0];
  };
  EXPECT_NEAR(deviation({1, 0}), 0.25 * std::sqrt(0.01 / 0.25), 1e-6);
  EXPECT_NEAR(deviation({2, 5}), 0.25 * std::sqrt((0.01 + 1 / 4.0 + 25 / 100.0) / 0.25), 1e-6);
  EXPECT_EQ(deviation({1e20f, 0}), 0.5f);
  (*model)->Predict(FeatureView::Unknown(),
                    {absl::MakeSpan(quality), absl::MakeSpan(sd), absl::MakeSpan(work)});
  EXPECT_NEAR(sd[0], std::sqrt(0.125), 1e-6);
}

TEST(LogisticQualitySpread, AFileOfTrainTellsHowSureItIs) {
  TempDir dir;
  std::string table;
  for (int i = 0; i < 300; ++i) {
    CounterRandom random(4, static_cast<uint64_t>(i));
    const double x = 2 * random.Uniform() - 1;
    absl::StrAppend(&table, R"({"features": [)", x, R"(], "experts": {"a": {"quality": )",
                    random.Uniform() < 0.5 + x / 3 ? 1 : 0, "}}}\n");
  }
  TrainOptions options;
  options.outcomes_file = dir.Write("outcomes.jsonl", table);
  options.output_folder = dir.File("trained");
  ASSERT_THAT(Train(options), IsOk());
  config::v1::Pool pool;
  pool.add_experts()->set_name("a");
  pool.set_quality_file(dir.File("trained/quality.safetensors"));
  ASSERT_OK_AND_ASSIGN(const auto model, MakeQualityModel(pool, 1));
  std::vector<float> quality(1), near(1), far(1), work(1);
  model->Predict(std::vector<float>{0},
                 {absl::MakeSpan(quality), absl::MakeSpan(near), absl::MakeSpan(work)});
  // Of some 240 rows about 1/2: sqrt(.25 / 240).
  EXPECT_NEAR(near[0], std::sqrt(0.25 / 240), 0.004);
  model->Predict(std::vector<float>{3},
                 {absl::MakeSpan(quality), absl::MakeSpan(far), absl::MakeSpan(work)});
  EXPECT_GT(far[0], 1.2f * near[0]);
}

}  // namespace
}  // namespace penstock::router
