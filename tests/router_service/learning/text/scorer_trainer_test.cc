#include "router_service/learning/text/scorer_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "common/random.h"
#include "common/tensors/safetensors.h"
#include "router_service/features/text_features.h"
#include "router_service/learning/text/text_trainer.h"
#include "tests/router_service/learning/text/poems_and_proofs.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

constexpr char kCards[] =
    R"({"expert": "small", "examples": ["write a poem on the sea", "write a poem on the moon"]})"
    "\n"
    R"({"expert": "big", "examples": ["give a proof of the theorem", "a proof of the theorem"]})"
    "\n";

TextTrainOptions Options(const TempDir& dir, const std::string& table, const std::string& model) {
  TextTrainOptions options;
  options.outcomes.file = dir.Write("outcomes.jsonl", table);
  options.outcomes.features.set_bits(12);
  options.output_folder = dir.File("trained");
  options.model = model;
  return options;
}

std::vector<std::unique_ptr<QualityTrainer>> Trainers(const TempDir& dir) {
  auto trainers = MakeQualityTrainers();
  auto cards = ReadExpertCards(dir.Write("cards.jsonl", kCards));
  config::v1::TextFeatures features;
  features.set_bits(12);
  trainers.push_back(MakePrototypeTrainer(*std::move(cards), features));
  return trainers;
}

std::vector<float> Ask(const QualityModel& model, const std::string& prompt,
                       std::vector<float>* uncertainty = nullptr,
                       std::vector<float>* work = nullptr) {
  config::v1::TextFeatures config;
  config.set_bits(12);
  auto features = TextFeatures::FromSettings(config);
  FeatureBuffer buffer;
  features->ExtractText(prompt, buffer);
  std::vector<float> quality(model.experts()), sd(model.experts()), length(model.experts());
  model.Predict(buffer.view(),
                {absl::MakeSpan(quality), absl::MakeSpan(sd), absl::MakeSpan(length)});
  if (uncertainty != nullptr) *uncertainty = sd;
  if (work != nullptr) *work = length;
  return quality;
}

config::v1::Pool PoolOf(const TextTrainOptions& options, const std::string& file,
                        const std::vector<std::string>& names) {
  config::v1::Pool pool;
  for (const std::string& name : names) pool.add_experts()->set_name(name);
  *pool.mutable_features()->mutable_text() = options.outcomes.features;
  pool.set_quality_file(file);
  return pool;
}

class ScorerTrainerTest : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, ScorerTrainerTest,
                         ::testing::Values("knn", "mlp", "mf", "prototypes"),
                         [](const auto& info) { return info.param; });

TEST_P(ScorerTrainerTest, LearnsWhoIsRightAndServesItFromItsFile) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, PoemsAndProofs(200), GetParam());
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report,
                       TrainText(options, Trainers(dir), [] { return 0.0; }));
  EXPECT_EQ(report.chosen().name, GetParam());
  // The pool has them in another order than the file.
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeQualityModel(PoolOf(options, report.files.at(0), {"small", "big"}), 0));
  ASSERT_OK_AND_ASSIGN(const auto turned,
                       MakeQualityModel(PoolOf(options, report.files.at(0), {"big", "small"}), 0));
  std::vector<float> sd;
  const std::vector<float> poem = Ask(*model, "write a poem on the sea 8", &sd);
  const std::vector<float> proof = Ask(*model, "give a proof of the theorem of star");
  EXPECT_GT(poem[0], 0.75f);
  EXPECT_LT(proof[0], 0.25f);
  EXPECT_GT(proof[1], 0.75f);
  EXPECT_GT(proof[1], poem[1]);
  EXPECT_EQ(Ask(*turned, "write a poem on the sea 8")[1], poem[0]);
  for (const float deviation : sd) {
    EXPECT_GT(deviation, 0);
    EXPECT_LE(deviation, 0.5f);
  }
  EXPECT_NEAR(turned->mean_joules()[1], 0.1 * 212, 1);
  EXPECT_EQ(model->sparse_dimension(), size_t{1} << 12);
}

TEST_P(ScorerTrainerTest, TheFileSaysWhatTheFittedModelSays) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, PoemsAndProofs(120), GetParam());
  ASSERT_OK_AND_ASSIGN(const TextOutcomes outcomes, ReadTextOutcomes(options.outcomes));
  std::vector<size_t> rows(outcomes.rows());
  std::iota(rows.begin(), rows.end(), size_t{0});
  for (const auto& trainer : Trainers(dir)) {
    if (trainer->name() != GetParam()) continue;
    ASSERT_OK_AND_ASSIGN(FittedQuality fitted, trainer->Fit(outcomes, rows));
    fitted.metadata["features"] = TextFeaturesMetadata(options.outcomes.features);
    const std::string path = dir.File("q.safetensors");
    ASSERT_THAT(WriteSafetensors(path, fitted.tensors, fitted.metadata), IsOk());
    ASSERT_OK_AND_ASSIGN(const auto model,
                         MakeQualityModel(PoolOf(options, path, outcomes.experts), 0));
    for (const char* prompt :
         {"write a poem on the leaf", "give a proof", "unheard of words", ""}) {
      std::vector<float> sd, fitted_sd;
      EXPECT_EQ(Ask(*model, prompt, &sd), Ask(*fitted.model, prompt, &fitted_sd)) << prompt;
      EXPECT_EQ(sd, fitted_sd) << prompt;
    }
  }
}

TEST_P(ScorerTrainerTest, WritesTheSameBytesEveryTime) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, PoemsAndProofs(100), GetParam());
  ASSERT_THAT(TrainText(options, Trainers(dir), [] { return 0.0; }), IsOk());
  const std::string first = dir.Read("trained/quality.safetensors");
  ASSERT_THAT(TrainText(options, Trainers(dir), [] { return 0.0; }), IsOk());
  EXPECT_EQ(dir.Read("trained/quality.safetensors"), first);
  EXPECT_GT(first.size(), 1000u);
}

TEST_P(ScorerTrainerTest, IsCalibratedOutOfFold) {
  TempDir dir;
  // The prompt tells a probability, not the label.
  std::string table;
  for (int i = 0; i < 1200; ++i) {
    CounterRandom random(5, static_cast<uint64_t>(i));
    const bool poem = random.Below(2) == 0;
    const int small = random.Uniform() < (poem ? 0.8 : 0.3);
    const int big = random.Uniform() < (poem ? 0.6 : 0.9);
    absl::StrAppend(&table, R"({"prompt": ")", poem ? "write a poem on " : "give a proof of ",
                    random.Below(100000), R"(", "experts": {"small": {"quality": )", small,
                    R"(, "joules": 1}, "big": {"quality": )", big, R"(, "joules": 5}}})", "\n");
  }
  const TextTrainOptions options = Options(dir, table, GetParam());
  ASSERT_OK_AND_ASSIGN(const TextOutcomes outcomes, ReadTextOutcomes(options.outcomes));
  std::vector<int> fold;
  for (const std::string& group : outcomes.groups) fold.push_back(FoldOf(group, 5));
  for (const auto& trainer : Trainers(dir)) {
    if (trainer->name() != GetParam()) continue;
    ASSERT_OK_AND_ASSIGN(const OutOfFold predicted, trainer->CrossValidate(outcomes, fold, 5));
    for (size_t e = 0; e < 2; ++e) {
      std::vector<std::pair<float, float>> said;  // and what came of it
      for (size_t row = 0; row < outcomes.rows(); ++row) {
        said.emplace_back(predicted.quality[outcomes.At(e, row)],
                          outcomes.quality[outcomes.At(e, row)]);
      }
      ASSERT_EQ(said.size(), 1200u);
      std::sort(said.begin(), said.end());
      // Of the third where least is said, and so on: what is said is what comes, but for chance
      // (standard error 0.024), and more comes where more is said.
      std::vector<double> came;
      for (size_t third = 0; third < 3; ++third) {
        double sum_said = 0, sum_came = 0;
        for (size_t i = third * 400; i < (third + 1) * 400; ++i) {
          sum_said += said[i].first / 400;
          sum_came += said[i].second / 400;
        }
        EXPECT_NEAR(sum_said, sum_came, 0.06) << e << " " << third;
        came.push_back(sum_came);
      }
      EXPECT_GT(came[2], came[0] + 0.1);
    }
  }
}

TEST_P(ScorerTrainerTest, WorkIsOneInTheMeanOutOfFold) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, PoemsAndProofs(100), GetParam());
  ASSERT_OK_AND_ASSIGN(const TextOutcomes outcomes, ReadTextOutcomes(options.outcomes));
  std::vector<int> fold;
  for (const std::string& group : outcomes.groups) fold.push_back(FoldOf(group, 5));
  for (const auto& trainer : Trainers(dir)) {
    if (trainer->name() != GetParam()) continue;
    ASSERT_OK_AND_ASSIGN(const OutOfFold predicted, trainer->CrossValidate(outcomes, fold, 5));
    for (size_t e = 0; e < 2; ++e) {
      double sum = 0;
      for (size_t row = 0; row < 100; ++row) sum += predicted.work[outcomes.At(e, row)];
      EXPECT_NEAR(sum / 100, 1, 1e-3);
    }
  }
}

TEST_P(ScorerTrainerTest, ScoresThatAreMissingAreLeftOutByExpert) {
  TempDir dir;
  std::string table = PoemsAndProofs(200);
  for (int i = 0; i < 100; ++i) {  // small was never asked these
    absl::StrAppend(&table, R"({"prompt": "give a proof of lemma )", i,
                    R"(", "experts": {"small": {"quality": null}, "big": {"quality": 1, )",
                    R"("out_tokens": 400, "joules": 800}}})", "\n");
  }
  const TextTrainOptions options = Options(dir, table, GetParam());
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report,
                       TrainText(options, Trainers(dir), [] { return 0.0; }));
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeQualityModel(PoolOf(options, report.files.at(0), {"small", "big"}), 0));
  const std::vector<float> proof = Ask(*model, "give a proof of the theorem of star");
  EXPECT_LT(proof[0], 0.35f);
  EXPECT_GT(proof[1], 0.75f);
}

TEST_P(ScorerTrainerTest, RefusesOtherFeaturesAndDamage) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, PoemsAndProofs(60), GetParam());
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report,
                       TrainText(options, Trainers(dir), [] { return 0.0; }));
  config::v1::Pool pool = PoolOf(options, report.files.at(0), {"small", "big"});
  pool.mutable_features()->mutable_text()->set_bits(13);
  EXPECT_THAT(MakeQualityModel(pool, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("was trained on features")));
  EXPECT_THAT(MakeQualityModel(PoolOf(options, report.files.at(0), {"small", "huge"}), 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("huge")));
  std::string bytes = dir.Read("trained/quality.safetensors");
  bytes[bytes.size() - 5] ^= 1;
  EXPECT_THAT(
      MakeQualityModel(PoolOf(options, dir.Write("bad.safetensors", bytes), {"small", "big"}), 0),
      StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ScorerTrainer, NeighboursAndLayersTellHowLongTheAnswerIs) {
  for (const char* name : {"knn", "mlp", "mf"}) {
    TempDir dir;
    const TextTrainOptions options = Options(dir, PoemsAndProofs(200), name);
    ASSERT_OK_AND_ASSIGN(const TextTrainReport report,
                         TrainText(options, MakeQualityTrainers(), [] { return 0.0; }));
    ASSERT_OK_AND_ASSIGN(
        const auto model,
        MakeQualityModel(PoolOf(options, report.files.at(0), {"small", "big"}), 0));
    std::vector<float> poem, proof;
    Ask(*model, "write a poem on the sea", nullptr, &poem);
    Ask(*model, "give a proof of the theorem of sea", nullptr, &proof);
    EXPECT_GT(proof[1], 3 * poem[1]) << name;
  }
}

TEST(ScorerTrainer, WhatWasNeverSeenIsLessSure) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, PoemsAndProofs(200), "mlp");
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report,
                       TrainText(options, MakeQualityTrainers(), [] { return 0.0; }));
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeQualityModel(PoolOf(options, report.files.at(0), {"small", "big"}), 0));
  std::vector<float> seen, unheard;
  Ask(*model, "give a proof of the theorem of sea", &seen);
  const std::vector<float> quality = Ask(*model, "completely different questions", &unheard);
  EXPECT_GT(unheard[0], seen[0]);
  for (const float q : quality) EXPECT_TRUE(std::isfinite(q));
}

TEST(ScorerTrainer, AnUnknownKindOfFileIsRefused) {
  TempDir dir;
  const std::string path = dir.File("q.safetensors");
  ASSERT_THAT(WriteSafetensors(path, {{"mean", {1}, {0.5f}}},
                               {{"kind", "oracle_quality"}, {"experts", R"(["a"])"}}),
              IsOk());
  config::v1::Pool pool;
  pool.add_experts()->set_name("a");
  pool.set_quality_file(path);
  EXPECT_THAT(MakeQualityModel(pool, 0),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("\"kind\" is oracle_quality, wanted one of logistic_quality")));
}

}  // namespace
}  // namespace penstock::router
