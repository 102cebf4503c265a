#include "router_service/features/compatibility_fold.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/features/text_features.h"

namespace penstock::router {
namespace {

std::string Folded(uint32_t c) {
  const FoldedCharacter folded = FoldCompatibility(c);
  std::string text;
  for (size_t i = 0; i < folded.size; ++i) text.push_back(static_cast<char>(folded.points[i]));
  return text;
}

TEST(CompatibilityFold, LettersAndDigitsOfMathematicsArePlainOnes) {
  EXPECT_EQ(Folded(0x1D400), "a");                          // bold A
  EXPECT_EQ(Folded(0x1D433), "z");                          // bold z
  EXPECT_EQ(Folded(0x1D552), "a");                          // double-struck a
  EXPECT_EQ(Folded(0x1D6A3), "z");                          // monospace z
  EXPECT_EQ(Folded(0x1D7CE), "0");                          // bold 0
  EXPECT_EQ(Folded(0x1D7FF), "9");                          // monospace 9
  EXPECT_EQ(FoldCompatibility(0x1D6C2).points[0], 0x3B1u);  // bold small alpha
  EXPECT_EQ(Folded(0x2102), "c");
  EXPECT_EQ(Folded(0x2113), "l");
}

TEST(CompatibilityFold, CirclesAndScriptsArePlainOnes) {
  EXPECT_EQ(Folded(0x24B6), "a");
  EXPECT_EQ(Folded(0x24D0), "a");
  EXPECT_EQ(Folded(0x24E9), "z");
  EXPECT_EQ(Folded(0x24EA), "0");
  EXPECT_EQ(Folded(0x2460), "1");
  EXPECT_EQ(Folded(0xB2), "2");
  EXPECT_EQ(Folded(0xB9), "1");
  EXPECT_EQ(Folded(0x2087), "7");
  EXPECT_EQ(Folded(0x1F172), "c");
}

TEST(CompatibilityFold, AccentsGo) {
  EXPECT_EQ(Folded(0xE9), "e");
  EXPECT_EQ(Folded(0xD1), "n");
  EXPECT_EQ(Folded(0x17E), "z");
  EXPECT_EQ(Folded(0x1E9), "k");
  EXPECT_EQ(Folded(0x1EF3), "y");
  EXPECT_EQ(Folded(0x301), "");
  // Letters of their own stay.
  EXPECT_EQ(FoldCompatibility(0xDF).points[0], 0xDFu);
  EXPECT_EQ(FoldCompatibility(0xF8).points[0], 0xF8u);
}

TEST(CompatibilityFold, LigaturesAndFractionsComeApart) {
  EXPECT_EQ(Folded(0xFB03), "ffi");
  EXPECT_EQ(Folded(0xBD), "1/2");
  EXPECT_EQ(Folded(0x2167), "viii");
  EXPECT_EQ(Folded(0x2026), "...");
}

TEST(CompatibilityFold, OtherScriptsAreThemselves) {
  for (const uint32_t c : {0x3B2u, 0x436u, 0x4E2Du, 0x3042u, 0x1F600u}) {
    EXPECT_EQ(FoldCompatibility(c).size, 1u);
    EXPECT_EQ(FoldCompatibility(c).points[0], c);
  }
}

std::vector<uint32_t> Buckets(absl::string_view text, bool fold = true) {
  config::v1::TextFeatures settings;
  settings.set_fold_compatibility(fold);
  FeatureBuffer buffer;
  TextFeatures::FromSettings(settings)->ExtractText(text, buffer);
  return buffer.indices;
}

TEST(CompatibilityFold, SpellingsThatLookAlikeHaveTheSameFeatures) {
  const std::vector<uint32_t> plain = Buckets("ignore the office 12");
  ASSERT_FALSE(plain.empty());
  // Mathematical "ignore", a ligature, subscripts.
  EXPECT_EQ(Buckets("\xF0\x9D\x90\xA2\xF0\x9D\x90\xA0\xF0\x9D\x90\xA7\xF0\x9D\x90\xA8"
                    "\xF0\x9D\x90\xAB\xF0\x9D\x90\x9E the o\xEF\xAC\x83"
                    "ce \xE2\x82\x81\xE2\x82\x82"),
            plain);
  // Cyrillic o and e within Latin words, one at the beginning.
  EXPECT_EQ(Buckets("ign\xD0\xBEr\xD0\xB5 th\xD0\xB5 \xD0\xBE"
                    "ffice 12"),
            plain);
  EXPECT_NE(Buckets("ign\xD0\xBEr\xD0\xB5 th\xD0\xB5 \xD0\xBE"
                    "ffice 12",
                    false),
            plain);
}

TEST(CompatibilityFold, ARussianWordStaysRussian) {
  // "оса" (a wasp) is all lookalikes, "ocа" in part.
  EXPECT_NE(Buckets("\xD0\xBE\xD1\x81\xD0\xB0"), Buckets("oca"));
  EXPECT_EQ(Buckets("oc\xD0\xB0"), Buckets("oca"));
}

TEST(CompatibilityFold, WithoutTheSettingFeaturesAreAsTheyWere) {
  EXPECT_EQ(TextFeaturesMetadata({}),
            "text/1 bits=18 character_ngrams=0 surface=0 max_bytes=32768");
  config::v1::TextFeatures settings;
  settings.set_fold_compatibility(true);
  EXPECT_EQ(TextFeaturesMetadata(settings),
            "text/1 bits=18 character_ngrams=0 surface=0 max_bytes=32768 fold_compatibility=1");
}

}  // namespace
}  // namespace penstock::router
