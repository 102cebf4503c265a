#include "router_service/features/tokens/tokenizer.h"

#include <algorithm>
#include <utility>

#include "common/utf8.h"
#include "router_service/features/tokens/unicode_text.h"

namespace penstock::router {
namespace {

std::vector<AddedToken> Of(const std::vector<AddedToken>& added, bool normalized,
                           const TextNormalizer& normalizer) {
  std::vector<AddedToken> result;
  NormalizerScratch scratch;
  for (const AddedToken& token : added) {
    if (token.normalized != normalized) continue;
    result.push_back(token);
    if (normalized) normalizer.Apply(token.content, scratch, result.back().content);
  }
  return result;
}

std::unique_ptr<const TokenModel> ModelOf(const TokenizerSettings& settings) {
  if (const auto* pieces = std::get_if<WordPiece::Settings>(&settings.model)) {
    return std::make_unique<const WordPiece>(*pieces);
  }
  return std::make_unique<const Unigram>(std::get<Unigram::Settings>(settings.model));
}

std::vector<PieceTrie::Piece> PlacesOf(const std::vector<AddedToken>& tokens) {
  std::vector<PieceTrie::Piece> places;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!tokens[i].content.empty()) places.emplace_back(tokens[i].content, i);
  }
  return places;
}

}  // namespace

Tokenizer::Added::Added(std::vector<AddedToken> of) : tokens(std::move(of)), trie(PlacesOf(tokens)) {
  for (const AddedToken& token : tokens) {
    if (!token.content.empty()) first[static_cast<uint8_t>(token.content[0])] = 1;
  }
}

const AddedToken* Tokenizer::Added::Next(absl::string_view text, size_t from, size_t& begin,
                                         size_t& end) const {
  for (size_t start = from; start < text.size(); ++start) {
    if (first[static_cast<uint8_t>(text[start])] == 0) continue;
    const AddedToken* longest = nullptr;
    uint32_t node = PieceTrie::kRoot;
    for (size_t at = start; at < text.size();) {
      node = trie.Next(node, text[at++]);
      if (node == PieceTrie::kNone) break;
      if (trie.IdAt(node) == PieceTrie::kNone) continue;
      longest = &tokens[trie.IdAt(node)];
      end = at;
    }
    if (longest == nullptr) continue;
    begin = start;
    while (longest->left_strip && begin > from) {
      size_t before = begin - 1;
      while (before > from && (static_cast<uint8_t>(text[before]) & 0xC0) == 0x80) --before;
      size_t at = before;
      if (!IsWhiteSpace(NextCharacter(text, at))) break;
      begin = before;
    }
    while (longest->right_strip && end < text.size()) {
      size_t at = end;
      if (!IsWhiteSpace(NextCharacter(text, at))) break;
      end = at;
    }
    return longest;
  }
  return nullptr;
}

template <typename OfToken, typename OfText>
void Tokenizer::Cut(const Added& added, absl::string_view text, const OfToken& of_token,
                    const OfText& of_text) {
  size_t at = 0;
  while (!added.tokens.empty() && at < text.size()) {
    size_t begin = 0, end = 0;
    const AddedToken* token = added.Next(text, at, begin, end);
    if (token == nullptr) break;
    if (begin > at) of_text(text.substr(at, begin - at), at == 0);
    of_token(token->id);
    at = end;
  }
  if (at < text.size()) of_text(text.substr(at), at == 0);
}

Tokenizer::Tokenizer(const TokenizerSettings& settings)
    : normalizer_(settings.normalizer),
      splitter_(settings.splitter),
      model_(ModelOf(settings)),
      raw_(Of(settings.added, false, normalizer_)),
      normalized_(Of(settings.added, true, normalizer_)) {}

void Tokenizer::Append(absl::string_view text, TokenizerScratch& scratch,
                       std::vector<uint32_t>& ids) const {
  if (!IsAscii(text) && !IsUtf8(text)) {
    scratch.valid.clear();
    for (size_t at = 0; at < text.size();) AppendUtf8(NextCharacter(text, at), scratch.valid);
    text = scratch.valid;
  }
  const auto token = [&ids](uint32_t id) { ids.push_back(id); };
  Cut(raw_, text, token, [&](absl::string_view part, bool begins) {
    normalizer_.Apply(part, scratch.normalizer, scratch.normalized);
    Cut(normalized_, scratch.normalized, token, [&](absl::string_view words, bool begins_part) {
      SplitText& split = scratch.split;
      split.text.assign(words.data(), words.size());
      splitter_.Split(begins && begins_part, split);
      for (const SplitText::Word& word : split.words) {
        model_->Append(split.At(word), scratch.model, ids);
      }
    });
  });
}

}  // namespace penstock::router
