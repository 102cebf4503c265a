#include "router_service/features/tokens/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/random.h"
#include "tests/router_service/features/tokens/small_tokenizers.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

using Ids = std::vector<uint32_t>;

Ids Of(absl::string_view json, absl::string_view text) {
  const auto settings = ParseTokenizer(json);
  EXPECT_TRUE(settings.ok()) << settings.status();
  Ids ids;
  TokenizerScratch scratch;
  if (settings.ok()) Tokenizer(*settings).Append(text, scratch, ids);
  return ids;
}
Ids Pieces(absl::string_view text) { return Of(WordPieceJson(), text); }
Ids Unigrams(absl::string_view text) { return Of(UnigramJson(), text); }

TEST(WordPiece, TakesTheLongestPieceFirst) {
  EXPECT_THAT(Pieces("unaffable"), ElementsAre(3, 4, 5));
  EXPECT_THAT(Pieces("running"), ElementsAre(29, 30));
  EXPECT_THAT(Pieces("abcd abd"), ElementsAre(34, 35, 33, 35));  // abc ##d, not ab ##cd
}

TEST(WordPiece, AWordThatEndsInNoPieceIsUnknownAsAWhole) {
  EXPECT_THAT(Pieces("unaffablex"), ElementsAre(1));
  EXPECT_THAT(Pieces("the \xC3\x9F the"), ElementsAre(2, 1, 2));
}

TEST(WordPiece, ALongWordIsUnknown) {
  EXPECT_THAT(Pieces("ssssssssssss"), ElementsAre(26, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27));
  EXPECT_THAT(Pieces("sssssssssssss"), ElementsAre(1));
  EXPECT_THAT(Pieces("unaffableness"), ElementsAre(1));
}

TEST(BertNormalizer, LowersCleansAndStripsAccents) {
  EXPECT_THAT(Pieces("The UNAFFABLE, caf\xC3\xA9!"), ElementsAre(2, 3, 4, 5, 15, 10, 13));
  EXPECT_THAT(Pieces("cafe\xCC\x81 \xC4\xB0"), ElementsAre(10, 22));  // an accent apart; I with a dot
  EXPECT_THAT(Pieces("na\xC3\xAFve I i'i"), ElementsAre(21, 22, 22, 16, 22));
  EXPECT_THAT(Pieces(absl::string_view("the\0 t\xE2\x80\x8Bhe", 11)), ElementsAre(2, 2));
  EXPECT_THAT(Pieces("\xEF\xBF\xBD the"), ElementsAre(2));
  EXPECT_THAT(Pieces("the\xC2\xA0the\xE3\x80\x80the"), ElementsAre(2, 2, 2));
}

TEST(BertNormalizer, TakesIdeographsApart) {
  EXPECT_THAT(Pieces("the中国"), ElementsAre(2, 19, 20));
}

TEST(BertNormalizer, DoesWhatItIsToldAlone) {
  const std::string text = "The the caf\xC3\xA9";
  EXPECT_THAT(Of(WordPieceJson(R"({"type": "BertNormalizer", "clean_text": true,
                  "handle_chinese_chars": true, "strip_accents": null, "lowercase": false})"),
                 text),
              ElementsAre(1, 2, 1));
  EXPECT_THAT(Of(WordPieceJson(R"({"type": "BertNormalizer", "clean_text": true,
                  "handle_chinese_chars": true, "strip_accents": true, "lowercase": false})"),
                 text),
              ElementsAre(1, 2, 10));
}

TEST(BertPreTokenizer, PunctuationIsAWordByItself) {
  EXPECT_THAT(Pieces("##a"), ElementsAre(17, 17, 1));
  EXPECT_THAT(Pieces("the,the"), ElementsAre(2, 15, 2));
  EXPECT_THAT(Pieces(""), IsEmpty());
  EXPECT_THAT(Pieces("  \t\n"), IsEmpty());
}

TEST(AddedTokens, StandInTheTextAsTheyAre) {
  EXPECT_THAT(Pieces("[UNK][PAD]the"), ElementsAre(1, 0, 2));
  EXPECT_THAT(Pieces("the [PAD]caf\xC3\xA9"), ElementsAre(2, 0, 10));
  EXPECT_THAT(Pieces("[pad]"), ElementsAre(1, 1, 1));
}

TEST(AddedTokens, AreFoundInTheNormalisedTextWhereTheySaySo) {
  const std::string json = TokenizerJson(
      kWordPieceModel, kBertNormalizer, kBertPreTokenizer,
      R"({"id": 37, "content": "The Café", "single_word": false, "lstrip": false,
          "rstrip": false, "normalized": true, "special": false})");
  EXPECT_THAT(Of(json, "run THE CAFE!"), ElementsAre(29, 37, 13));
  EXPECT_THAT(Of(json, "the the caf\xC3\xA9 the"), ElementsAre(2, 37, 2));
}

TEST(Unigram, TakesThePiecesOfTheLargestSum) {
  EXPECT_THAT(Unigrams("abc"), ElementsAre(6, 15));  // _a bc at -7.45, before _ abc at -8.5
  EXPECT_THAT(Unigrams("abcc"), ElementsAre(14, 16));
  EXPECT_THAT(Unigrams("cc"), ElementsAre(1, 16));
  EXPECT_THAT(Unigrams("the abc"), ElementsAre(8, 6, 15));
}

TEST(Unigram, NeighboursThatAreUnknownAreOne) {
  EXPECT_THAT(Unigrams("xyz"), ElementsAre(1, 0));
  EXPECT_THAT(Unigrams("axyb"), ElementsAre(6, 0, 3));
  EXPECT_THAT(Unigrams("\xC3\xA9\xCC\x81"), ElementsAre(1, 13, 0));
  EXPECT_THAT(Unigrams("<unk>a"), ElementsAre(1, 0, 2));
}

TEST(Metaspace, ASpaceBelongsToTheWordBehindIt) {
  EXPECT_THAT(Unigrams("ab ab"), ElementsAre(14, 14));
  EXPECT_THAT(Unigrams("a  b"), ElementsAre(6, 1, 1, 3));
  EXPECT_THAT(Unigrams("  "), ElementsAre(1, 1));
  EXPECT_THAT(Unigrams("▁a"), ElementsAre(6));
  EXPECT_THAT(Unigrams(""), IsEmpty());
  EXPECT_THAT(Of(UnigramJson(MetaspaceJson("always", false)), "a  b"), ElementsAre(6, 1, 1, 3));
}

TEST(Metaspace, IsPutBeforeAWordAsToldTo) {
  EXPECT_THAT(Of(UnigramJson(MetaspaceJson("never")), "the abc"), ElementsAre(9, 12, 6, 15));
  EXPECT_THAT(Of(UnigramJson(MetaspaceJson("never")), " a"), ElementsAre(6));
  const std::string first =
      TokenizerJson(kUnigramModel, "null", MetaspaceJson("first"),
                    R"({"id": 17, "content": "<m>", "single_word": false, "lstrip": true,
                        "rstrip": false, "normalized": false, "special": true})");
  EXPECT_THAT(Of(first, "a a"), ElementsAre(6, 6));
  EXPECT_THAT(Of(first, "a <m>a"), ElementsAre(6, 17, 2));  // the space is the token's
  EXPECT_THAT(Of(first, "<m> a"), ElementsAre(17, 6));
}

TEST(Metaspace, FollowsASplitAtWhiteSpace) {
  const std::string json =
      UnigramJson(absl::StrCat(R"({"type": "Sequence", "pretokenizers": [
                                   {"type": "WhitespaceSplit"}, )",
                               MetaspaceJson(), "]}"));
  EXPECT_THAT(Of(json, "a\n b  c"), ElementsAre(6, 1, 3, 1, 4));
}

TEST(TextNormalizer, RunsItsStepsInOrder) {
  const std::string json = UnigramJson(MetaspaceJson(), R"({"type": "Sequence", "normalizers": [
      {"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
      {"type": "Strip", "strip_left": true, "strip_right": true}, {"type": "Lowercase"},
      {"type": "Replace", "pattern": {"String": "x"}, "content": "ab"}]})");
  EXPECT_THAT(Of(json, "  A   b "), ElementsAre(6, 1, 3));
  EXPECT_THAT(Of(json, "\xEF\xBC\xA1\xEF\xBC\xA2 x"), ElementsAre(14, 14));  // full-width AB
  EXPECT_THAT(Of(json, "xx"), ElementsAre(14, 5));
  EXPECT_THAT(Of(json, "e\xCC\x81"), ElementsAre(1, 13));
}

TEST(Tokenizer, ABadByteIsAReplacementCharacter) {
  const std::string json = WordPieceJson("null");
  EXPECT_EQ(Of(json, "the \xFF"), Of(json, "the \xEF\xBF\xBD"));
  EXPECT_EQ(Of(json, "the \xE4\xB8"), Of(json, "the \xEF\xBF\xBD\xEF\xBF\xBD"));
  EXPECT_THAT(Pieces("the \xFF"), ElementsAre(2));  // which BERT's normaliser drops
}

// Whatever comes, as text: ids are in the vocabulary, no more than there are bytes and what the
// normaliser may add, and the same again.
TEST(Tokenizer, TakesAnyBytes) {
  const std::string files[] = {
      WordPieceJson(), UnigramJson(),
      UnigramJson(MetaspaceJson("always", false), R"({"type": "Sequence", "normalizers": [
          {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "NFC"}, {"type": "Lowercase"},
          {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
          {"type": "Prepend", "prepend": " "}]})")};
  for (const std::string& json : files) {
    ASSERT_OK_AND_ASSIGN(const TokenizerSettings settings, ParseTokenizer(json));
    const Tokenizer tokenizer(settings);
    TokenizerScratch scratch;
    for (uint64_t i = 0; i < 2000; ++i) {
      CounterRandom random(/*seed=*/11, i);
      // Bytes of all kinds, or those that words, marks and ideographs are made of.
      constexpr absl::string_view kLikely = "abcthe ,[PAD]\xC3\xA9\xCC\x81\xE4\xB8\xAD\xEF\xBF\xBD\xF0\x9D\x94";
      std::string text(random.Below(200), '\0');
      for (char& byte : text) {
        byte = i % 2 == 0 ? static_cast<char>(random.Below(256)) : kLikely[random.Below(kLikely.size())];
      }
      Ids ids, again;
      tokenizer.Append(text, scratch, ids);
      tokenizer.Append(text, scratch, again);
      ASSERT_EQ(ids, again);
      ASSERT_THAT(ids, Each(Le(settings.largest_id)));
      ASSERT_LE(ids.size(), 4 * text.size() + TextNormalizer::kSlack);
    }
  }
}

TEST(Tokenizer, ATextGrowsFourfoldAtMost) {
  // Each ligature would become eighteen letters.
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "\xEF\xB7\xBA";
  const std::string json = UnigramJson("null", R"({"type": "NFKD"})");
  ASSERT_OK_AND_ASSIGN(const TokenizerSettings settings, ParseTokenizer(json));
  NormalizerScratch scratch;
  std::string normal;
  TextNormalizer(settings.normalizer).Apply(text, scratch, normal);
  EXPECT_LE(normal.size(), 4 * text.size() + TextNormalizer::kSlack);
  EXPECT_GT(normal.size(), 3 * text.size());
}

TEST(Tokenizer, ManyMarksAreOrderedInTime) {
  // Below and above in turn, 200,000 of them on one letter: quadratic work would not end here.
  std::string text = "e";
  for (int i = 0; i < 100000; ++i) text += "\xCC\x81\xCC\xA3";
  const std::string json = UnigramJson("null", R"({"type": "NFD"})");
  EXPECT_THAT(Of(json, text), SizeIs(2));  // e, and one run that is unknown
}

TEST(PieceTrie, FindsWhatItHolds) {
  std::vector<std::string> words;
  CounterRandom random(5, 0);
  for (int i = 0; i < 5000; ++i) {
    std::string word(1 + random.Below(6), '\0');
    for (char& c : word) c = static_cast<char>(random.Below(i % 3 == 0 ? 256 : 4));
    words.push_back(word);
  }
  std::vector<PieceTrie::Piece> pieces;
  for (uint32_t i = 0; i < words.size(); i += 2) pieces.emplace_back(words[i], i);
  const PieceTrie trie(pieces);
  for (uint32_t i = 0; i < words.size(); ++i) {
    uint32_t wanted = PieceTrie::kNone;
    for (uint32_t j = 0; j < words.size(); j += 2) {
      if (words[j] == words[i]) wanted = j;  // of equal ones the last
    }
    const uint32_t node = trie.Walk(PieceTrie::kRoot, words[i]);
    ASSERT_EQ(node == PieceTrie::kNone ? PieceTrie::kNone : trie.IdAt(node), wanted) << i;
  }
}

}  // namespace
}  // namespace penstock::router
