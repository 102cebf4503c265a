#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "router_service/features/tokens/piece_trie.h"
#include "router_service/features/tokens/text_normalizer.h"
#include "router_service/features/tokens/token_model.h"
#include "router_service/features/tokens/unigram.h"
#include "router_service/features/tokens/word_piece.h"
#include "router_service/features/tokens/word_splitter.h"

namespace penstock::router {

// A token that stands in a text as it is, and is cut out of it first.
struct AddedToken {
  std::string content;
  uint32_t id = 0;
  bool left_strip = false, right_strip = false;  // takes the white space on that side along
  bool normalized = false;                       // looked for in the normalised text
};

// What a tokenizer.json says, of what is supported.
struct TokenizerSettings {
  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizer;
  std::vector<SplitterStep> splitter;
  std::variant<WordPiece::Settings, Unigram::Settings> model;
  uint32_t largest_id = 0;  // of all of these
};

// INVALID_ARGUMENT names the file and the field that is wrong, too large or not supported. Of no
// account are the parts that do not touch a text's own tokens: truncation, padding, post_processor,
// decoder.
absl::StatusOr<TokenizerSettings> ReadTokenizerFile(const std::string& path);
// The same from its bytes.
absl::StatusOr<TokenizerSettings> ParseTokenizer(absl::string_view json);

// What it works in. Reused by one thread, it stops allocating.
struct TokenizerScratch {
  std::string valid;
  SplitText split;
  std::string normalized;
  NormalizerScratch normalizer;
  TokenScratch model;
};

// A text's tokens, as Hugging Face's tokenizers give them without special tokens around them.
// Immutable, thread-safe.
class Tokenizer {
 public:
  explicit Tokenizer(const TokenizerSettings& settings);

  // Appends. A byte that is no UTF-8 counts as U+FFFD.
  void Append(absl::string_view text, TokenizerScratch& scratch, std::vector<uint32_t>& ids) const;
  uint32_t unknown() const { return model_->unknown(); }

 private:
  // Added tokens of one kind, found from left to right, the longest first.
  struct Added {
    std::vector<AddedToken> tokens;
    PieceTrie trie;  // -> place in `tokens`
    std::array<uint8_t, 256> first = {};

    explicit Added(std::vector<AddedToken> of);
    // The next at or behind `from`; null: none. [begin, end) is what it takes.
    const AddedToken* Next(absl::string_view text, size_t from, size_t& begin, size_t& end) const;
  };
  // Calls `token` for what is found, `text` for what stands between.
  template <typename OfToken, typename OfText>
  static void Cut(const Added& added, absl::string_view text, const OfToken& of_token,
                  const OfText& of_text);

  const TextNormalizer normalizer_;
  const WordSplitter splitter_;
  std::unique_ptr<const TokenModel> model_;
  Added raw_, normalized_;
};

}  // namespace penstock::router
