#include "router_service/learning/text/text_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "router_service/features/text_features.h"
#include "router_service/learning/text/hashed_linear_trainer.h"
#include "tests/router_service/learning/text/poems_and_proofs.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TextTrainOptions Options(const TempDir& dir, const std::string& table) {
  dir.Write("outcomes.jsonl", table);
  TextTrainOptions options;
  options.outcomes.file = dir.File("outcomes.jsonl");
  options.outcomes.features.set_bits(12);
  options.output_folder = dir.File("trained");
  options.date = "2026-01-01";
  return options;
}

absl::StatusOr<TextTrainReport> TrainOn(const TextTrainOptions& options) {
  return TrainText(options, MakeQualityTrainers(), [] { return 0.0; });
}

std::unique_ptr<QualityModel const> Open(const TextTrainReport& report,
                                         const TextTrainOptions& options) {
  config::v1::Pool pool;
  pool.add_experts()->set_name("small");
  pool.add_experts()->set_name("big");
  *pool.mutable_features()->mutable_text() = options.outcomes.features;
  pool.set_quality_file(report.files.at(0));
  auto model = MakeQualityModel(pool, options.outcomes.features.surface() ? 16 : 0);
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : nullptr;
}

struct Said {
  std::vector<float> quality = std::vector<float>(2), work = quality;
};
Said Ask(const QualityModel& model, const TextTrainOptions& options, const std::string& prompt) {
  auto features = TextFeatures::FromSettings(options.outcomes.features);
  FeatureBuffer buffer;
  features->ExtractText(prompt, buffer);
  Said said;
  model.Predict(buffer.view(), {absl::MakeSpan(said.quality), {}, absl::MakeSpan(said.work)});
  return said;
}

TEST(TextTrainer, LearnsWhoIsRightAndHowLongTheAnswerIs) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, PoemsAndProofs(400));
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, TrainOn(options));
  const auto model = Open(report, options);
  const Said poem = Ask(*model, options, "write a poem on the sea");
  const Said proof = Ask(*model, options, "give a proof of the theorem");
  EXPECT_GT(poem.quality[0], 0.8f);
  EXPECT_LT(proof.quality[0], 0.2f);
  EXPECT_GT(proof.quality[1], 0.8f);
  // Poems take 20 tokens, proofs 400 of the big expert's.
  EXPECT_GT(proof.work[1], 5 * poem.work[1]);
  EXPECT_GT(report.chosen().gain, 0.1);
  EXPECT_EQ(report.cost_unit, "joules");
  EXPECT_NEAR(report.experts[1].mean_tokens, 210, 30);
  EXPECT_GT(report.experts[1].length_explained, 0.8);
  EXPECT_NEAR(model->mean_joules()[1], 2 * 210, 60);
}

TEST(TextTrainer, WorkIsOneInTheMean) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, PoemsAndProofs(400));
  ASSERT_OK_AND_ASSIGN(const TextOutcomes outcomes, ReadTextOutcomes(options.outcomes));
  std::vector<int> fold;
  for (const std::string& group : outcomes.groups) fold.push_back(FoldOf(group, 5));
  ASSERT_OK_AND_ASSIGN(const OutOfFold predicted,
                       HashedLinearTrainer().CrossValidate(outcomes, fold, 5));
  for (size_t e = 0; e < 2; ++e) {
    double sum = 0;
    for (size_t row = 0; row < outcomes.rows(); ++row) sum += predicted.work[outcomes.At(e, row)];
    EXPECT_NEAR(sum / static_cast<double>(outcomes.rows()), 1, 1e-3);
  }
}

TEST(TextTrainer, WritesTheSameBytesEveryTime) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, PoemsAndProofs(100));
  ASSERT_THAT(TrainOn(options), IsOk());
  const std::string first = dir.Read("trained/quality.safetensors");
  ASSERT_THAT(TrainOn(options), IsOk());
  EXPECT_EQ(dir.Read("trained/quality.safetensors"), first);
}

TEST(TextTrainer, AutoTakesTheSimplestWithinOneError) {
  TempDir dir;
  TextTrainOptions options = Options(dir, PoemsAndProofs(400));
  options.model = "auto";
  ASSERT_OK_AND_ASSIGN(const TextTrainReport telling, TrainOn(options));
  EXPECT_EQ(telling.contenders.size(), 5u);
  EXPECT_EQ(telling.chosen().name, "hashed_linear");
  // Prompts that tell nothing: the means are as good.
  std::string noise;
  for (int i = 0; i < 300; ++i) {
    CounterRandom random(3, static_cast<uint64_t>(i));
    const int small = random.Uniform() < 0.4, big = random.Uniform() < 0.8;
    absl::StrAppend(&noise, R"({"prompt": "request )", random.Below(1000),
                    R"(", "experts": {"small": {"quality": )", small,
                    R"(, "joules": 1}, "big": {"quality": )", big, R"(, "joules": 5}}})", "\n");
  }
  options = Options(dir, noise);
  options.model = "auto";
  ASSERT_OK_AND_ASSIGN(const TextTrainReport silent, TrainOn(options));
  EXPECT_EQ(silent.chosen().name, "mean");
  EXPECT_THAT(Ask(*Open(silent, options), options, "request 3").quality,
              ElementsAre(::testing::FloatNear(0.4f, 0.09f), ::testing::FloatNear(0.8f, 0.09f)));
}

TEST(TextTrainer, ScoresThatAreMissingAreLeftOutByExpert) {
  TempDir dir;
  std::string table = PoemsAndProofs(400);
  for (int i = 0; i < 200; ++i) {  // small was never asked these
    absl::StrAppend(&table, R"({"prompt": "give a proof of lemma )", i,
                    R"(", "experts": {"small": {"quality": null}, "big": {"quality": 1, )",
                    R"("out_tokens": 400, "joules": 800}}})", "\n");
  }
  const TextTrainOptions options = Options(dir, table);
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, TrainOn(options));
  ASSERT_EQ(report.experts[0].name, "big");
  EXPECT_EQ(report.experts[0].rows, 600u);
  EXPECT_EQ(report.experts[1].rows, 400u);
  EXPECT_LT(Ask(*Open(report, options), options, "give a proof of lemma 3").quality[0], 0.25f);
}

TEST(TextTrainer, MalformedRowsAreNamedAndLeftOut) {
  TempDir dir;
  TextTrainOptions options = Options(
      dir, absl::StrCat("{\"prompt\": 3, \"experts\": {}}\nnonsense\n", PoemsAndProofs(100),
                        R"({"prompt": "x", "experts": {"tiny": {"quality": 7}}})", "\n"));
  options.outcomes.max_bad_rows = 3;
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, TrainOn(options));
  EXPECT_EQ(report.rows, 100u);
  EXPECT_EQ(report.bad_rows, 3u);
  EXPECT_THAT(report.bad[0], HasSubstr("outcomes.jsonl:1: prompt: wanted a text"));
  EXPECT_THAT(report.bad[1], HasSubstr(":2: no JSON object"));
  EXPECT_THAT(report.bad[2], HasSubstr(":103: experts.tiny.quality: wanted a number in [0, 1]"));
  EXPECT_EQ(report.experts.size(), 2u);  // a bad row brings no expert
  options.outcomes.max_bad_rows = 2;
  EXPECT_THAT(std::string(TrainOn(options).status().message()),
              HasSubstr("more than max_bad_rows 2 rows are malformed"));
  options.outcomes.max_bad_rows = 0;
  EXPECT_THAT(std::string(TrainOn(options).status().message()), HasSubstr("outcomes.jsonl:1: prompt"));
}

TEST(TextTrainer, SaysWhereNoCostIsTold) {
  TempDir dir;
  std::string table;
  for (int i = 0; i < 60; ++i) {
    absl::StrAppend(&table, R"({"prompt": ")", i % 2 == 0 ? "even" : "odd", " ", i,
                    R"(", "experts": {"small": {"quality": )", i % 2, "}, \"big\": {\"quality\": 1}}}\n");
  }
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, TrainOn(Options(dir, table)));
  EXPECT_EQ(report.cost_unit, "");
  EXPECT_THAT(report.warnings, ::testing::Contains(HasSubstr("Brier")));
  EXPECT_LT(report.chosen().brier, 0.1);
}

TEST(TextTrainer, TheSurfaceMayBePartOfTheModel) {
  TempDir dir;
  TextTrainOptions options = Options(dir, PoemsAndProofs(200));
  options.outcomes.features.set_surface(true);
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, TrainOn(options));
  const auto model = Open(report, options);
  EXPECT_EQ(model->dimension(), SurfaceCounts::kDimension);
  EXPECT_GT(Ask(*model, options, "write a poem on the sea").quality[0], 0.7f);
  EXPECT_THAT(report.pool_yaml, HasSubstr("surface: true"));
}

TEST(TextTrainer, RefusesAModelItDoesNotHave) {
  TempDir dir;
  TextTrainOptions options = Options(dir, PoemsAndProofs(20));
  options.model = "oracle";
  EXPECT_THAT(std::string(TrainOn(options).status().message()),
              HasSubstr("model is \"oracle\", wanted auto, mean, hashed_linear"));
}

TEST(TextOutcomes, FoldsGroupsByTheirHash) {
  EXPECT_EQ(FoldOf("a", 5), 0);
  EXPECT_EQ(FoldOf("b", 5), 1);
  EXPECT_EQ(FoldOf("sky blue", 5), 0);
}

TEST(TextOutcomes, ReadsEveryFormOfAPrompt) {
  TempDir dir;
  dir.Write("t.jsonl", R"({"prompt": "one", "experts": {"a": {"quality": 1}}}
{"input": "two", "group": 7, "experts": {"a": {"quality": 0}}}
{"input": {"text": ["three"]}, "experts": {"a": {"quality": true, "seconds": 2}}}
)");
  TextOutcomesSource source;
  source.file = dir.File("t.jsonl");
  ASSERT_OK_AND_ASSIGN(const TextOutcomes outcomes, ReadTextOutcomes(source));
  EXPECT_THAT(outcomes.groups, ElementsAre("one", "7", "three"));
  EXPECT_THAT(outcomes.quality, ElementsAre(1, 0, 1));
  EXPECT_EQ(outcomes.cost_unit, "");  // told of one answer in three
  EXPECT_EQ(outcomes.counts.Columns(0).size(), 1u);
}

}  // namespace
}  // namespace penstock::router
