#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace penstock::router {

// tokenizer.json files small enough to follow by hand. What a test expects of them was read off
// Hugging Face's tokenizers 0.23.

inline std::string TokenizerJson(absl::string_view model, absl::string_view normalizer = "null",
                                 absl::string_view pre_tokenizer = "null",
                                 absl::string_view added = "") {
  return absl::StrCat(R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [)",
                      added, R"(], "normalizer": )", normalizer, R"(, "pre_tokenizer": )",
                      pre_tokenizer, R"(, "post_processor": null, "decoder": null, "model": )",
                      model, "}");
}

inline constexpr char kBertNormalizer[] =
    R"({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
        "strip_accents": null, "lowercase": true})";
inline constexpr char kBertPreTokenizer[] = R"({"type": "BertPreTokenizer"})";
inline constexpr char kSpecialTokens[] =
    R"({"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true},
       {"id": 1, "content": "[UNK]", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true})";

// A word has at most 12 characters.
inline constexpr char kWordPieceModel[] =
    R"({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 12, "vocab": {
        "[PAD]": 0, "[UNK]": 1, "the": 2, "un": 3, "##aff": 4, "##able": 5, "##a": 6, "##ab": 7,
        "##le": 8, "able": 9, "cafe": 10, "caf": 11, "##e": 12, "!": 13, "?": 14, ",": 15,
        "'": 16, "#": 17, "##": 18, "中": 19, "国": 20, "naive": 21, "i": 22, "##i": 23,
        "##ive": 24, "na": 25, "ss": 26, "##s": 27, "s": 28, "run": 29, "##ning": 30, "##n": 31,
        "##ing": 32, "ab": 33, "abc": 34, "##d": 35, "##cd": 36}})";
inline std::string WordPieceJson(absl::string_view normalizer = kBertNormalizer) {
  return TokenizerJson(kWordPieceModel, normalizer, kBertPreTokenizer, kSpecialTokens);
}

inline constexpr char kUnigramModel[] =
    R"({"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": [
        ["<unk>", 0.0], ["▁", -3.0], ["a", -2.5], ["b", -2.6], ["c", -2.7], ["ab", -3.5],
        ["▁a", -3.2], ["abc", -5.5], ["▁the", -2.0], ["t", -4.0], ["h", -4.0], ["e", -3.5],
        ["he", -4.5], ["é", -5.0], ["▁ab", -4.75], ["bc", -4.25], ["cc", -1.0]]})";
inline std::string MetaspaceJson(absl::string_view scheme = "always", bool split = true) {
  return absl::StrCat(R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": ")", scheme,
                      R"(", "split": )", split ? "true" : "false", "}");
}
inline std::string UnigramJson(absl::string_view pre_tokenizer = MetaspaceJson(),
                               absl::string_view normalizer = "null") {
  return TokenizerJson(kUnigramModel, normalizer, pre_tokenizer);
}

}  // namespace penstock::router
