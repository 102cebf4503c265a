// A quality model that reads static embeddings: trained, written, and opened as a pool would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "router_service/features/text_features.h"
#include "router_service/learning/text/text_trainer.h"
#include "router_service/quality/quality_model.h"
#include "tests/router_service/features/embeddings_folder.h"
#include "tests/router_service/learning/text/poems_and_proofs.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

// Poems and odes lie on one side, proofs and lemmas on the other; "ode" and "lemma" stand in no
// outcome, so that only where they lie can tell of them.
std::string Embeddings(const TempDir& dir) {
  const std::string json = TokenizerJson(
      R"({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
          "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "poem": 1, "ode": 2, "proof": 3,
          "lemma": 4, "a": 5, "the": 6, "on": 7, "of": 8}})",
      kBertNormalizer, kBertPreTokenizer);
  return WriteEmbeddings(
      dir,
      {{"embeddings", {9, 2}, {9, 9, 1, 0, 1, 0, -1, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0}}},
      R"({"normalize": true})", json);
}

TextTrainOptions Options(const TempDir& dir, bool alone) {
  dir.Write("outcomes.jsonl", PoemsAndProofs(200));
  TextTrainOptions options;
  options.outcomes.file = dir.File("outcomes.jsonl");
  options.outcomes.features.set_bits(12);
  options.outcomes.features.mutable_embeddings()->set_folder(Embeddings(dir));
  options.outcomes.features.mutable_embeddings()->set_alone(alone);
  options.output_folder = dir.File("trained");
  return options;
}

config::v1::Pool PoolOf(const TextTrainOptions& options, const std::string& file) {
  config::v1::Pool pool;
  pool.add_experts()->set_name("small");
  pool.add_experts()->set_name("big");
  *pool.mutable_features()->mutable_text() = options.outcomes.features;
  pool.set_quality_file(file);
  return pool;
}

// What the small expert is believed to be worth on a prompt.
float Small(const config::v1::Pool& pool, const std::string& prompt) {
  const auto features = TextFeatures::FromSettings(pool.features().text());
  EXPECT_TRUE(features.ok()) << features.status();
  const auto model = MakeQualityModel(pool, features->dimension());
  EXPECT_TRUE(model.ok()) << model.status();
  if (!model.ok()) return -1;
  FeatureBuffer buffer;
  features->ExtractText(prompt, buffer);
  std::vector<float> quality(2);
  (*model)->Predict(buffer.view(), absl::MakeSpan(quality));
  return quality[0];
}

absl::StatusOr<TextTrainReport> TrainOn(const TextTrainOptions& options) {
  return TrainText(options, MakeQualityTrainers(), [] { return 0.0; });
}

TEST(EmbeddedTraining, TellsOfWordsThatNoOutcomeHas) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, /*alone=*/true);
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, TrainOn(options));
  EXPECT_THAT(report.pool_yaml, HasSubstr("embeddings: {folder: " + dir.File("model") +
                                          ", alone: true}"));
  const config::v1::Pool pool = PoolOf(options, report.files.at(0));
  EXPECT_GT(Small(pool, "write a poem on the sea"), 0.8f);
  EXPECT_LT(Small(pool, "give a proof of the theorem"), 0.2f);
  EXPECT_GT(Small(pool, "an ode"), 0.8f);
  EXPECT_LT(Small(pool, "a lemma"), 0.2f);
}

TEST(EmbeddedTraining, ReadsWordsBesideThem) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, /*alone=*/false);
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, TrainOn(options));
  const config::v1::Pool pool = PoolOf(options, report.files.at(0));
  EXPECT_GT(Small(pool, "write a poem on the sea"), 0.8f);
  EXPECT_LT(Small(pool, "give a proof of the theorem"), 0.2f);
  EXPECT_GT(Small(pool, "an ode"), Small(pool, "a lemma"));
}

TEST(EmbeddedTraining, OtherModelsReadThemToo) {
  TempDir dir;
  TextTrainOptions options = Options(dir, /*alone=*/true);
  for (const char* name : {"knn", "mlp"}) {
    options.model = name;
    ASSERT_OK_AND_ASSIGN(const TextTrainReport report, TrainOn(options));
    const config::v1::Pool pool = PoolOf(options, report.files.at(0));
    EXPECT_GT(Small(pool, "an ode"), Small(pool, "a lemma") + 0.3f) << name;
  }
}

TEST(EmbeddedTraining, AFileIsServedWithTheEmbeddingsItWasTrainedOn) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, /*alone=*/false);
  ASSERT_OK_AND_ASSIGN(const TextTrainReport report, TrainOn(options));
  config::v1::Pool pool = PoolOf(options, report.files.at(0));
  ASSERT_THAT(MakeQualityModel(pool, 2), IsOk());
  pool.mutable_features()->mutable_text()->mutable_embeddings()->set_alone(true);
  EXPECT_THAT(std::string(MakeQualityModel(pool, 2).status().message()),
              HasSubstr("was trained on features"));
  pool.mutable_features()->mutable_text()->mutable_embeddings()->set_alone(false);
  dir.Write("model/config.json", R"({"normalize": false})");
  EXPECT_THAT(std::string(MakeQualityModel(pool, 2).status().message()),
              HasSubstr("was trained on features"));
}

TEST(EmbeddedTraining, CardsNeedWords) {
  TempDir dir;
  const TextTrainOptions options = Options(dir, /*alone=*/true);
  config::v1::Pool pool = PoolOf(options, "");
  pool.set_cards_file(dir.Write("cards.jsonl", R"({"expert": "small", "examples": ["a poem"]})"));
  EXPECT_THAT(std::string(MakeQualityModel(pool, 2).status().message()),
              HasSubstr("features.text.embeddings.alone"));
}

}  // namespace
}  // namespace penstock::router
