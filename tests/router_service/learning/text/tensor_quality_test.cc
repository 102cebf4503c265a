#include "router_service/learning/text/tensor_quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "router_service/quality/quality_model.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// Expert `near` is right within the unit circle, `far` outside of it: no line tells them apart.
std::string Circle(int rows) {
  std::string table;
  for (int i = 0; i < rows; ++i) {
    CounterRandom random(3, static_cast<uint64_t>(i));
    const double x = 4 * random.Uniform() - 2, y = 4 * random.Uniform() - 2;
    const bool inside = x * x + y * y < 1.6;
    absl::StrAppend(&table, R"({"id": )", i, R"(, "features": [)", x, ", ", y,
                    R"(], "experts": {"near": {"quality": )", inside ? 1 : 0,
                    R"(, "joules": 1}, "far": {"quality": )", inside ? 0 : 1, R"(, "joules": 3}}})",
                    "\n");
  }
  return table;
}

class TensorQualityAuto : public ::testing::Test {
 protected:
  absl::StatusOr<TextTrainReport> Train(const std::string& table, const std::string& model) {
    options_.outcomes_file = dir_.Write("outcomes.jsonl", table);
    options_.output_folder = dir_.path();
    options_.features.mutable_tensor_pooling();
    PENSTOCK_ASSIGN_OR_RETURN(const OutcomeTable read,
                              ReadOutcomeTable({options_.outcomes_file, "", 0, {}, {}}));
    return TrainTensorQuality(options_, read, model, 5, [] { return 0.0; });
  }
  absl::StatusOr<std::unique_ptr<const QualityModel>> Open(const std::string& file) {
    config::v1::Pool pool;
    pool.add_experts()->set_name("near");
    pool.add_experts()->set_name("far");
    pool.mutable_features()->mutable_tensor_pooling();
    pool.set_quality_file(file);
    return MakeQualityModel(pool, 2);
  }

  TempDir dir_;
  TrainOptions options_;
};
class TensorQuality : public TensorQualityAuto,
                      public ::testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, TensorQuality, ::testing::Values("knn", "mlp"),
                         [](const auto& info) { return info.param; });

TEST_P(TensorQuality, LearnsWhatNoLineTellsAndServesIt) {
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, Train(Circle(600), GetParam()));
  ASSERT_EQ(report.files.size(), 1u);
  ASSERT_OK_AND_ASSIGN(const auto model, Open(report.files[0]));
  EXPECT_EQ(model->dimension(), 2u);
  const auto ask = [&](float x, float y) {
    std::vector<float> quality(2), sd(2), work(2);
    model->Predict(std::vector<float>{x, y},
                   {absl::MakeSpan(quality), absl::MakeSpan(sd), absl::MakeSpan(work)});
    EXPECT_GT(sd[0], 0);
    return quality;
  };
  EXPECT_GT(ask(0.1f, -0.1f)[0], 0.7f);
  EXPECT_LT(ask(0.1f, -0.1f)[1], 0.3f);
  for (const float side : {-1.8f, 1.8f}) {
    EXPECT_LT(ask(side, 0)[0], 0.3f);
    EXPECT_GT(ask(0, side)[1], 0.7f);
  }
}

TEST_F(TensorQualityAuto, TakesACurveWhereALineDoesNotDo) {
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, Train(Circle(600), "auto"));
  EXPECT_EQ(report.contenders.size(), 4u);
  EXPECT_NE(report.chosen().name, "logistic");
  EXPECT_NE(report.chosen().name, "mf");
  EXPECT_THAT(report.why, HasSubstr(report.chosen().name));
  EXPECT_THAT(FormatContenders(report), HasSubstr("logistic"));
}

TEST_F(TensorQualityAuto, TakesTheLineWhereThatIsAll) {
  std::string table;
  for (int i = 0; i < 400; ++i) {
    CounterRandom random(9, static_cast<uint64_t>(i));
    const double x = 4 * random.Uniform() - 2;
    absl::StrAppend(&table, R"({"features": [)", x, R"(, 1], "experts": {"near": {"quality": )",
                    x > 0 ? 1 : 0, R"(, "joules": 1}, "far": {"quality": )", x > 0 ? 0 : 1,
                    R"(, "joules": 3}}})", "\n");
  }
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, Train(table, "auto"));
  EXPECT_EQ(report.chosen().name, "logistic");
  EXPECT_TRUE(report.files.empty());  // Train's own file stays
}

TEST_F(TensorQualityAuto, AnotherLengthOfZIsRefused) {
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, Train(Circle(100), "knn"));
  config::v1::Pool pool;
  pool.add_experts()->set_name("near");
  pool.mutable_features()->mutable_tensor_pooling();
  pool.set_quality_file(report.files.at(0));
  EXPECT_THAT(
      MakeQualityModel(pool, 3),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("was trained on 2 dense features, but the pool's features give 3")));
}

TEST_F(TensorQualityAuto, AnUnknownModelIsRefused) {
  EXPECT_THAT(Train(Circle(100), "hashed_linear"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("wanted auto, logistic, knn, mlp, mf")));
}

// A log of decisions, half of them with `far`: a request's other answer nobody knows.
std::string CircleLog(int rows) {
  std::string table;
  for (int i = 0; i < rows; ++i) {
    CounterRandom random(3, static_cast<uint64_t>(i));
    const double x = 4 * random.Uniform() - 2, y = 4 * random.Uniform() - 2;
    const bool inside = x * x + y * y < 1.6, near = random.Below(2) == 0;
    absl::StrAppend(&table, R"({"id": )", i, R"(, "features": [)", x, ", ", y,
                    R"(], "experts": {")", near ? "near" : "far", R"(": {"quality": )",
                    near == inside ? 1 : 0, R"(, "joules": )", near ? 1 : 3, "}}}\n");
  }
  return table;
}

TEST_F(TensorQualityAuto, ALogOfDecisionsIsComparedByBrierScoreAndNotByMf) {
  options_.outcomes_file = dir_.Write("outcomes.jsonl", CircleLog(600));
  ASSERT_OK_AND_ASSIGN(OutcomeTable table,
                       ReadOutcomeTable({options_.outcomes_file, "", 0, {}, {}}));
  for (size_t row = 0; row < table.rows(); ++row) {
    table.asked.push_back(std::isnan(table.quality[table.At(0, row)]) ? 1 : 0);
    table.propensity.push_back(0.5f);
  }
  ASSERT_TRUE(table.partial());
  EXPECT_TRUE(DenseOutcomes(table).partial);
  const auto train = [&](const std::string& model) {
    return TrainTensorQuality(options_, table, model, 5, [] { return 0.0; });
  };
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, train("auto"));
  EXPECT_THAT(report.why, HasSubstr("Brier score"));
  EXPECT_TRUE(report.cost_unit.empty());
  EXPECT_TRUE(report.points.empty());
  EXPECT_THAT(report.warnings, Contains(HasSubstr("a log of decisions tells of one expert")));
  // Nobody did better than another.
  EXPECT_THAT(report.warnings, Contains(HasSubstr("model mf learns from rows where")));
  EXPECT_EQ(report.contenders.size(), 3u);
  EXPECT_THAT(train("mf"), StatusIs(absl::StatusCode::kFailedPrecondition,
                                    HasSubstr("one expert did better than another")));
}

}  // namespace
}  // namespace penstock::router
