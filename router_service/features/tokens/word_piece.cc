#include "router_service/features/tokens/word_piece.h"

namespace penstock::router {
namespace {

std::vector<PieceTrie::Piece> PiecesOf(
    const std::vector<std::pair<std::string, uint32_t>>& vocabulary) {
  return {vocabulary.begin(), vocabulary.end()};
}

bool LongerThan(absl::string_view word, size_t characters) {
  if (word.size() <= characters) return false;
  size_t count = 0;
  for (const char c : word) count += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
  return count > characters;
}

}  // namespace

WordPiece::WordPiece(const Settings& settings)
    : pieces_(PiecesOf(settings.vocabulary)),
      continuation_(pieces_.Walk(PieceTrie::kRoot, settings.continuing_prefix)),
      unknown_(settings.unknown),
      max_characters_(settings.max_characters) {}

void WordPiece::Append(absl::string_view word, TokenScratch&, std::vector<uint32_t>& ids) const {
  if (LongerThan(word, max_characters_)) {
    ids.push_back(unknown_);
    return;
  }
  const size_t before = ids.size();
  uint32_t from = PieceTrie::kRoot;
  for (size_t begin = 0; begin < word.size(); from = continuation_) {
    uint32_t longest = PieceTrie::kNone;
    size_t end = begin;
    uint32_t node = from;
    for (size_t at = begin; node != PieceTrie::kNone && at < word.size();) {
      node = pieces_.Next(node, word[at++]);
      if (node == PieceTrie::kNone || pieces_.IdAt(node) == PieceTrie::kNone) continue;
      longest = pieces_.IdAt(node);
      end = at;
    }
    if (longest == PieceTrie::kNone) {
      ids.resize(before);
      ids.push_back(unknown_);
      return;
    }
    ids.push_back(longest);
    begin = end;
  }
}

}  // namespace penstock::router
