#include "router_service/guards/benign_edits.h"

#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/features/text_features.h"

namespace penstock::router {
namespace {

const std::vector<std::string>& Prompts() {
  static const std::vector<std::string> prompts = {
      "Why is the sky blue at noon, but red in the evening?",
      "Prove that the sum of two even numbers is even.",
      "Translate \"good morning\" into French, please.",
      "D\xC3\xA9\x63ris le caf\xC3\xA9 o\xC3\xB9 na\xC3\xAEt la po\xC3\xA9sie fran\xC3\xA7\x61ise",
      "What does `int main() { return 42; }` do in C++?"};
  return prompts;
}

TEST(BenignEdits, EveryKindChangesTheBytes) {
  for (size_t kind = 0; kind < kBenignEdits; ++kind) {
    const auto edit = static_cast<BenignEdit>(kind);
    size_t changed = 0;
    for (const std::string& prompt : Prompts()) {
      CounterRandom random(1, kind);
      changed += EditBenignly(prompt, edit, random) != prompt ? 1 : 0;
    }
    EXPECT_GE(changed, 2u) << BenignEditName(edit);
  }
}

TEST(BenignEdits, DecomposesAccents) {
  CounterRandom random(1, 1);
  EXPECT_EQ(EditBenignly("caf\xC3\xA9 \xC3\x91 \xC3\xBF \xC3\x9F", BenignEdit::kDecomposed, random),
            "cafe\xCC\x81 N\xCC\x83 y\xCC\x88 \xC3\x9F");
}

TEST(BenignEdits, WritesFullWidthForms) {
  CounterRandom random(1, 1);
  EXPECT_EQ(EditBenignly("aZ 0.", BenignEdit::kFullWidth, random),
            "\xEF\xBD\x81\xEF\xBC\xBA \xEF\xBC\x90.");
}

TEST(FlipRate, CountsDecisionsThatChangeByKind) {
  // Decides by the first byte's case: upper-case letters flip a prompt that begins small.
  const auto by_case = [](absl::string_view text) -> size_t { return text[0] >= 'a' ? 1 : 0; };
  const std::vector<std::string> texts = {"a b", "c d", "E f"};
  const FlipRate rate = MeasureFlipRate(texts, by_case, 7);
  EXPECT_EQ(rate.texts, 3u);
  EXPECT_EQ(rate.flips[static_cast<size_t>(BenignEdit::kUpperCase)], 2u);
  EXPECT_EQ(rate.flips[static_cast<size_t>(BenignEdit::kLowerCase)], 1u);
  EXPECT_EQ(rate.flips[static_cast<size_t>(BenignEdit::kLineFeeds)], 0u);
  EXPECT_GT(rate.rate(), 0);
  EXPECT_EQ(MeasureFlipRate({}, by_case, 7).rate(), 0);
}

TEST(FlipRate, IsTheSameForTheSameSeed) {
  const auto by_length = [](absl::string_view text) { return text.size() % 2; };
  EXPECT_EQ(MeasureFlipRate(Prompts(), by_length, 3).flips,
            MeasureFlipRate(Prompts(), by_length, 3).flips);
}

// Case, spaces, hidden marks and full width are no matter of z at all; two per cent of tries at
// most may change anything.
TEST(FlipRate, TextFeaturesSeeThroughBenignEdits) {
  config::v1::TextFeatures settings;
  settings.set_fold_compatibility(true);
  const auto features = TextFeatures::FromSettings(settings);
  ASSERT_TRUE(features.ok()) << features.status();
  std::map<std::vector<uint32_t>, size_t> known;
  const auto which = [&](absl::string_view text) {
    FeatureBuffer buffer;
    features->ExtractText(text, buffer);
    return known.emplace(buffer.indices, known.size()).first->second;
  };
  const FlipRate rate = MeasureFlipRate(Prompts(), which, 11);
  EXPECT_EQ(rate.texts, Prompts().size());
  EXPECT_LE(rate.rate(), 0.02);
  // Five prompts are told apart.
  EXPECT_GE(known.size(), Prompts().size());
}

}  // namespace
}  // namespace penstock::router
