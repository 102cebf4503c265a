#include "router_service/quality/learned/carded_quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "router_service/features/text_features.h"
#include "router_service/quality/hashed_linear_quality.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kCards[] =
    R"({"expert": "poet", "capability": "writes verse", "examples": ["write a poem on the sea",)"
    R"( "a sonnet for my sister"]})"
    "\n"
    R"({"expert": "logician", "examples": ["prove the theorem of wind", "show the lemma holds"]})"
    "\n";

config::v1::Pool PoolOf(const std::vector<std::string>& names, const std::string& cards) {
  config::v1::Pool pool;
  pool.set_name("p");
  for (const std::string& name : names) pool.add_experts()->set_name(name);
  pool.mutable_features()->mutable_text();
  pool.set_cards_file(cards);
  return pool;
}

struct Said {
  std::vector<float> quality, uncertainty, work;
};
Said Ask(const QualityModel& model, const std::string& prompt) {
  auto features = TextFeatures::FromSettings(config::v1::TextFeatures());
  FeatureBuffer buffer;
  features->ExtractText(prompt, buffer);
  Said said;
  said.quality.resize(model.experts());
  said.uncertainty = said.work = said.quality;
  model.Predict(buffer.view(), {absl::MakeSpan(said.quality), absl::MakeSpan(said.uncertainty),
                                absl::MakeSpan(said.work)});
  return said;
}

// A trained file that says 0.7 of one expert and 0.5 of another, whatever the prompt.
std::string MeansFile(const TempDir& dir) {
  HashedLinearQuality::Parameters parameters;
  parameters.experts = {"old", "older"};
  parameters.buckets = size_t{1} << TextFeatures::kBits;
  parameters.idf_unseen = 1;
  parameters.mean = parameters.mean_quality = {0.7f, 0.5f};
  parameters.residual = parameters.length_mean = parameters.mean_tokens = {0, 0};
  parameters.work_scale = {1, 1};
  parameters.mean_joules = {3, 4};
  const auto tensors = HashedLinearQuality::Tensors(parameters);
  auto metadata = HashedLinearQuality::Metadata(parameters, tensors);
  metadata["features"] = TextFeaturesMetadata(config::v1::TextFeatures());
  const std::string path = dir.File("means.safetensors");
  EXPECT_THAT(WriteSafetensors(path, tensors, metadata), IsOk());
  return path;
}

TEST(CardedQuality, ANewExpertWithACardIsPreferredForWhatItsCardSays) {
  TempDir dir;
  config::v1::Pool pool = PoolOf(
      {"old", "poet", "older"},
      dir.Write(
          "cards.jsonl",
          R"({"expert": "poet", "examples": ["write a poem on the sea", "a poem of the moon"]})"));
  pool.set_quality_file(MeansFile(dir));
  ASSERT_OK_AND_ASSIGN(const auto model, MakeQualityModel(pool, 0));
  const Said poem = Ask(*model, "write a poem on the moon");
  const Said other = Ask(*model, "sort these numbers quickly");
  EXPECT_FLOAT_EQ(poem.quality[0], 0.7f);
  EXPECT_FLOAT_EQ(poem.quality[2], 0.5f);
  EXPECT_GT(poem.quality[1], 0.7f);           // best of all, although nobody asked it yet
  EXPECT_NEAR(other.quality[1], 0.6f, 0.02);  // as good as the mean of the others
  EXPECT_GT(poem.uncertainty[1], 0.2f);
  EXPECT_THAT(poem.work, ElementsAre(1, 1, 1));
  EXPECT_THAT(model->mean_joules(), ElementsAre(3, 0, 4));
}

TEST(CardedQuality, ConfiguredQualityIsThePrior) {
  TempDir dir;
  config::v1::Pool pool = PoolOf({"poet", "logician", "plain"}, dir.Write("cards.jsonl", kCards));
  pool.mutable_experts(0)->set_quality(0.9);
  pool.mutable_experts(2)->set_quality(0.8);
  ASSERT_OK_AND_ASSIGN(const auto model, MakeQualityModel(pool, 0));
  const Said poem = Ask(*model, "write a poem on the sea");
  const Said proof = Ask(*model, "show the lemma holds");
  EXPECT_GT(poem.quality[0], 0.9f);
  EXPECT_LT(poem.quality[1], 0.3f);
  EXPECT_LT(proof.quality[0], 0.7f);
  EXPECT_GT(proof.quality[1], 0.6f);
  EXPECT_FLOAT_EQ(poem.quality[2], 0.8f);  // no card, no opinion of the prompt
  EXPECT_THAT(model->warnings(), IsEmpty());
}

TEST(CardedQuality, UnknownRequestsGetThePrior) {
  TempDir dir;
  const config::v1::Pool pool = PoolOf({"poet", "logician"}, dir.Write("cards.jsonl", kCards));
  ASSERT_OK_AND_ASSIGN(const auto model, MakeQualityModel(pool, 0));
  std::vector<float> quality(2);
  model->Predict(FeatureView::Unknown(), absl::MakeSpan(quality));
  EXPECT_THAT(quality, ElementsAre(0.5f, 0.5f));
}

TEST(CardedQuality, WarnsOfCardsThatSayTheSame) {
  TempDir dir;
  const config::v1::Pool pool = PoolOf(
      {"a", "b", "c"},
      dir.Write("cards.jsonl",
                "{\"expert\": \"a\", \"capability\": \"translates French into English\"}\n"
                "{\"expert\": \"b\", \"capability\": \"solves equations\"}\n"
                "{\"expert\": \"c\", \"capability\": \"Translates FRENCH into English\"}\n"));
  ASSERT_OK_AND_ASSIGN(const auto model, MakeQualityModel(pool, 0));
  EXPECT_THAT(model->warnings(),
              ElementsAre(HasSubstr("the cards of \"a\" and \"c\" are nearly the same")));
}

TEST(CardedQuality, RefusesWhatCannotBeMeant) {
  TempDir dir;
  const std::string cards = dir.Write("cards.jsonl", kCards);
  config::v1::Pool pool = PoolOf({"poet"}, cards);
  EXPECT_THAT(MakeQualityModel(pool, 0),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("\"logician\" is no expert of pool \"p\"")));
  pool = PoolOf({"poet", "logician"}, cards);
  pool.mutable_features()->mutable_tensor_pooling();
  EXPECT_THAT(MakeQualityModel(pool, 4),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("wants features: {text")));
  pool = PoolOf({"old", "poet", "logician", "nobody"}, cards);
  pool.set_quality_file(MeansFile(dir));
  EXPECT_THAT(MakeQualityModel(pool, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nobody")));
}

TEST(ExpertCards, MalformedLinesAreNamed) {
  TempDir dir;
  const auto refusal = [&](const std::string& text) {
    return std::string(StatusOf(ReadExpertCards(dir.Write("cards.jsonl", text))).message());
  };
  const std::string good = "{\"expert\": \"a\", \"capability\": \"x\"}\n";
  EXPECT_THAT(refusal(good + "\nnonsense\n"), HasSubstr("cards.jsonl:3: no JSON object"));
  EXPECT_THAT(refusal(good + good), HasSubstr(":2: expert: has a card already"));
  EXPECT_THAT(refusal("{\"expert\": \"a\"}"), HasSubstr("neither capability nor examples"));
  EXPECT_THAT(refusal("{\"capability\": \"x\"}"), HasSubstr("expert: missing"));
  EXPECT_THAT(refusal("{\"expert\": \"a\", \"examples\": [3]}"),
              HasSubstr("examples: wanted a list of texts"));
  EXPECT_THAT(refusal("{\"expert\": \"a\", \"example\": []}"), HasSubstr("example: unknown field"));
  EXPECT_THAT(refusal(""), HasSubstr("has no cards"));
  EXPECT_THAT(ReadExpertCards(dir.File("absent")), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace penstock::router
