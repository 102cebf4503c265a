#include "router_service/features/text_features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

config::v1::TensorSpec Spec(const std::string& name, const std::string& datatype) {
  config::v1::TensorSpec spec;
  spec.set_name(name);
  spec.set_datatype(datatype);
  spec.add_shape(1);
  return spec;
}

TextFeatures Make(const config::v1::TextFeatures& config = {}) {
  auto made = TextFeatures::FromSettings(config);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

std::map<uint32_t, float> Of(absl::string_view text, const config::v1::TextFeatures& config = {}) {
  FeatureBuffer buffer;
  Make(config).ExtractText(text, buffer);
  std::map<uint32_t, float> found;
  for (size_t i = 0; i < buffer.indices.size(); ++i) found[buffer.indices[i]] = buffer.values[i];
  EXPECT_EQ(found.size(), buffer.indices.size());
  return found;
}

const float kOnce = std::log(2.0f);
const float kTwice = std::log(3.0f);

// Buckets computed apart, from the definitions of FNV-1a and SplitMix64's finaliser.
TEST(TextFeatures, HashesWordsAndPairsIntoKnownBuckets) {
  EXPECT_EQ(Of("Hello world"), (std::map<uint32_t, float>{
                                   {23544, kOnce}, {19142, kOnce}, {116651, kOnce}}));
  EXPECT_EQ(Of("world, hello").count(132469), 0u);  // a comma stands between
  EXPECT_EQ(Of("world hello").count(132469), 1u);   // a pair has an order
}

TEST(TextFeatures, TakesEachDigitAndSymbolByItself) {
  EXPECT_EQ(Of("42!").count(16475), 1u);
  EXPECT_EQ(Of("42!").count(83408), 1u);
  EXPECT_EQ(Of("42!").count(122473), 1u);  // the pair 4 2
  EXPECT_EQ(Of("42!").count(30976), 1u);
}

TEST(TextFeatures, CountsLogarithmically) {
  EXPECT_FLOAT_EQ(Of("hello hello")[23544], kTwice);
}

TEST(TextFeatures, IndicesAscendStrictly) {
  FeatureBuffer buffer;
  std::string text;
  for (int i = 0; i < 500; ++i) text += "w" + std::string(1 + i % 26, 'a' + i % 26) + " 7 ";
  Make().ExtractText(text, buffer);
  ASSERT_FALSE(buffer.indices.empty());
  for (size_t i = 1; i < buffer.indices.size(); ++i) {
    ASSERT_LT(buffer.indices[i - 1], buffer.indices[i]);
  }
  EXPECT_LT(buffer.indices.back(), 1u << 18);
}

TEST(TextFeatures, SpellingsThatLookAlikeAreOne) {
  EXPECT_EQ(Of("HELLO\tWorld"), Of("hello world"));
  EXPECT_EQ(Of("\xEF\xBC\xA8\xEF\xBD\x85llo world"), Of("hello world"));     // full-width H, e
  EXPECT_EQ(Of("he\xE2\x80\x8Bl\xC2\xADlo\xE2\x80\x8F world"), Of("hello world"));  // vanishing
  EXPECT_EQ(Of("hello\xC2\xA0\xE3\x80\x80world"), Of("hello world"));        // spaces
  EXPECT_EQ(Of("\xC3\x89"), Of("\xC3\xA9"));                                 // É, é
  EXPECT_EQ(Of("\xD0\x96"), Of("\xD0\xB6"));                                 // Ж, ж
}

TEST(TextFeatures, ABadByteIsOneReplacementCharacter) {
  const std::map<uint32_t, float> replaced = Of("\xEF\xBF\xBD");
  EXPECT_EQ(replaced, (std::map<uint32_t, float>{{141262, kOnce}}));
  EXPECT_EQ(Of("\xFF"), replaced);
  EXPECT_EQ(Of("\xC3"), replaced);                      // cut
  EXPECT_EQ(Of("\xC0\xAF").at(141262), kTwice);         // overlong
  EXPECT_EQ(Of("\xED\xA0\x80").count(141262), 1u);      // a surrogate
  EXPECT_EQ(Of("\xF4\x90\x80\x80").count(141262), 1u);  // beyond U+10FFFF
}

TEST(TextFeatures, AnEmptyPromptHasNoFeatures) {
  EXPECT_TRUE(Of("").empty());
  EXPECT_TRUE(Of(" \n\t").empty());
}

TEST(TextFeatures, AHugePromptIsReadAtItsEnds) {
  config::v1::TextFeatures config;
  config.set_max_bytes(64);
  const std::map<uint32_t, float> found =
      Of("hello " + std::string(1 << 20, 'x') + " middle " + std::string(1 << 20, 'y') + " world",
         config);
  EXPECT_EQ(found.count(23544), 1u);
  EXPECT_EQ(found.count(19142), 1u);
  EXPECT_LE(found.size(), 8u);
}

TEST(TextFeatures, RunsOfCharactersCountWhereAskedFor) {
  config::v1::TextFeatures config;
  config.set_character_ngrams(3);
  const std::map<uint32_t, float> found = Of("hello", config);
  EXPECT_EQ(found.size(), 4u);  // the word, hel, ell, llo
  EXPECT_EQ(found.count(62321), 1u);
  EXPECT_EQ(found.count(158684), 1u);
}

TEST(TextFeatures, FewerBitsAreTheHighestOfMore) {
  config::v1::TextFeatures config;
  config.set_bits(8);
  EXPECT_EQ(Of("hello", config), (std::map<uint32_t, float>{{23544u >> 10, kOnce}}));
}

TEST(TextFeatures, TheSurfaceIsTheDensePart) {
  config::v1::TextFeatures config;
  config.set_surface(true);
  FeatureBuffer prose, code;
  const TextFeatures features = Make(config);
  features.ExtractText("Why is the sky blue?", prose);
  features.ExtractText("for (int i = 0; i < 10; ++i) { s += a[i]; }", code);
  ASSERT_EQ(prose.dense.size(), features.dimension());
  EXPECT_FLOAT_EQ(prose.dense[0], std::log1p(20.0f) / 8);
  EXPECT_FLOAT_EQ(prose.dense[3], std::log1p(1.0f) / 8);  // question marks
  EXPECT_EQ(prose.dense[5], 0);                           // code markers
  EXPECT_GT(code.dense[5], 0.1f);
  EXPECT_GT(code.dense[8], 0);  // digits
}

TEST(TextFeatures, ReadsATensorsStringsTogether) {
  const auto made = MakeFeatureExtractor(
      [] {
        config::v1::Features config;
        config.mutable_text();
        return config;
      }(),
      {Spec("x", "FP32"), Spec("text", "BYTES")});
  ASSERT_TRUE(made.ok()) << made.status();
  const Tensor tensor = StringTensor("text", {2}, {"hello", "world"});
  FeatureBuffer buffer;
  ASSERT_TRUE((*made)->Extract(absl::MakeConstSpan(&tensor, 1), buffer).ok());
  EXPECT_THAT(buffer.indices, ElementsAre(19142, 23544));  // no pair across strings
}

TEST(TextFeatures, ReadsAParameter) {
  config::v1::Features config;
  config.mutable_text()->set_parameter("prompt");
  const auto made = MakeFeatureExtractor(config, {Spec("x", "FP32")});
  ASSERT_TRUE(made.ok()) << made.status();
  FeatureBuffer buffer;
  const std::vector<Parameter> parameters = {{"prompt", std::string("hello"), {}}};
  ASSERT_TRUE((*made)->Extract({{}, parameters}, buffer).ok());
  EXPECT_THAT(buffer.indices, ElementsAre(23544));
  EXPECT_THAT(std::string((*made)->Extract({{}, {}}, buffer).message()),
              HasSubstr("parameter prompt is missing"));
  const std::vector<Parameter> number = {{"prompt", int64_t{3}, {}}};
  EXPECT_EQ((*made)->Extract({{}, number}, buffer).code(), absl::StatusCode::kInvalidArgument);
}

TEST(TextFeatures, DoesNotAllocateOnceWarm) {
  FeatureBuffer buffer;
  const TextFeatures features = Make();
  const std::string text(2000, 'a');
  features.ExtractText("some words 1 2 3 " + text, buffer);
  const uint32_t* indices = buffer.indices.data();
  const float* values = buffer.values.data();
  features.ExtractText("words 1 2 " + text, buffer);
  EXPECT_EQ(buffer.indices.data(), indices);
  EXPECT_EQ(buffer.values.data(), values);
}

TEST(TextFeatures, RefusesSettingsOutOfRange) {
  config::v1::Features config;
  config.mutable_text()->set_bits(30);
  EXPECT_THAT(
      std::string(MakeFeatureExtractor(config, {Spec("t", "BYTES")}).status().message()),
      HasSubstr("features.text.bits is 30, wanted [8, 24]"));
  config.mutable_text()->set_bits(18);
  EXPECT_THAT(std::string(MakeFeatureExtractor(config, {Spec("x", "FP32")}).status().message()),
              HasSubstr("no BYTES input"));
  config.mutable_text()->set_input("x");
  EXPECT_THAT(std::string(MakeFeatureExtractor(config, {Spec("x", "FP32")}).status().message()),
              HasSubstr("is FP32, wanted BYTES"));
}

}  // namespace
}  // namespace penstock::router
