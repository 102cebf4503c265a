#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_replace.h"
#include "router_service/features/tokens/tokenizer.h"
#include "tests/router_service/features/tokens/small_tokenizers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

std::string Refusal(absl::string_view json) {
  return std::string(ParseTokenizer(json).status().message());
}
// The WordPiece file with one text in place of another.
std::string With(absl::string_view from, absl::string_view to) {
  const std::string json = WordPieceJson();
  EXPECT_THAT(json, HasSubstr(std::string(from)));
  return absl::StrReplaceAll(json, {{from, to}});
}

TEST(TokenizerFile, RefusesByNameWhatIsNotSupported) {
  EXPECT_THAT(Refusal(With("\"WordPiece\"", "\"BPE\"")),
              HasSubstr("model.type \"BPE\" is not supported"));
  EXPECT_THAT(Refusal(With("BertPreTokenizer", "ByteLevel")),
              HasSubstr("pre_tokenizer.type \"ByteLevel\" is not supported"));
  EXPECT_THAT(Refusal(WordPieceJson(R"({"type": "Nmt"})")),
              HasSubstr("normalizer.type \"Nmt\" is not supported"));
  EXPECT_THAT(Refusal(WordPieceJson(R"({"type": "Sequence", "normalizers": [
                  {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "a|b"},
                  "content": ""}]})")),
              HasSubstr("normalizer.normalizers[1].pattern.Regex is \"a|b\", supported are"));
  EXPECT_THAT(Refusal(With("\"single_word\": false", "\"single_word\": true")),
              HasSubstr("added_tokens[0].single_word true is not supported"));
  EXPECT_THAT(Refusal(With("\"clean_text\"", "\"tidy_text\"")),
              HasSubstr("normalizer.tidy_text is not supported"));
  EXPECT_THAT(Refusal(With("\"unk_token\"", "\"dropout\": 0.1, \"unk_token\"")),
              HasSubstr("model.dropout is not supported"));
  EXPECT_THAT(Refusal(With("\"version\"", "\"chat_template\"")),
              HasSubstr("chat_template is not supported"));
  const std::string unigram = UnigramJson();
  EXPECT_THAT(Refusal(absl::StrReplaceAll(
                  unigram, {{"\"byte_fallback\": false", "\"byte_fallback\": true"}})),
              HasSubstr("model.byte_fallback true is not supported"));
}

TEST(TokenizerFile, NamesTheFieldThatIsWrong) {
  EXPECT_THAT(Refusal("{"), HasSubstr("is no JSON object"));
  EXPECT_THAT(Refusal("[]"), HasSubstr("is no JSON object"));
  EXPECT_THAT(Refusal("{}"), HasSubstr("model is missing"));
  EXPECT_THAT(Refusal(std::string(100000, '[')), HasSubstr("is no JSON object"));
  EXPECT_THAT(Refusal(With("\"unk_token\": \"[UNK]\"", "\"unk_token\": \"<u>\"")),
              HasSubstr("model.unk_token \"<u>\" is not in model.vocab"));
  EXPECT_THAT(Refusal(With("\"##cd\": 36", "\"##cd\": -1")),
              HasSubstr("model.vocab gives \"##cd\" the id -1"));
  EXPECT_THAT(Refusal(With("\"##cd\": 36", "\"##cd\": 99999999")),
              HasSubstr("model.vocab gives \"##cd\" the id 99999999"));
  EXPECT_THAT(Refusal(With("\"max_input_chars_per_word\": 12",
                           "\"max_input_chars_per_word\": 100000")),
              HasSubstr("model.max_input_chars_per_word is 100000, wanted a number in [1, 1000]"));
  EXPECT_THAT(Refusal(With("\"lowercase\": true", "\"lowercase\": 1")),
              HasSubstr("normalizer.lowercase is 1, wanted true or false"));
  EXPECT_THAT(Refusal(With("\"##cd\"", "\"" + std::string(2000, 'x') + "\"")),
              HasSubstr("model.vocab has a piece of 2000 bytes"));
  EXPECT_THAT(Refusal(absl::StrReplaceAll(UnigramJson(), {{"[\"b\", -2.6]", "[\"b\"]"}})),
              HasSubstr("model.vocab[3] is [\"b\"], wanted [piece, score]"));
  EXPECT_THAT(Refusal(absl::StrReplaceAll(UnigramJson(), {{"\"unk_id\": 0", "\"unk_id\": 17"}})),
              HasSubstr("model.unk_id is 17, wanted a number in [0, 16]"));
  EXPECT_THAT(Refusal(UnigramJson(MetaspaceJson("last"))),
              HasSubstr("pre_tokenizer.prepend_scheme is \"last\""));
  EXPECT_THAT(Refusal(UnigramJson(MetaspaceJson(), R"({"type": "Precompiled",
                  "precompiled_charsmap": "AAAA"})")),
              HasSubstr("normalizer.precompiled_charsmap has 3 bytes"));
  EXPECT_THAT(Refusal(UnigramJson(MetaspaceJson(), R"({"type": "Precompiled",
                  "precompiled_charsmap": "gAAAAAAAAAA="})")),
              HasSubstr("normalizer.precompiled_charsmap says that its trie has 128 bytes"));
}

TEST(TokenizerFile, NamesTheFile) {
  TempDir dir;
  const std::string path = dir.Write("tokenizer.json", "{}");
  EXPECT_THAT(std::string(ReadTokenizerFile(path).status().message()),
              HasSubstr(path + ": model is missing"));
  EXPECT_EQ(ReadTokenizerFile(dir.File("none.json")).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace penstock::router
