#include "router_service/features/tokens/unigram.h"

#include <algorithm>

namespace penstock::router {
namespace {

constexpr double kUnknownPenalty = 10;
constexpr uint32_t kUnreached = PieceTrie::kNone;

std::vector<PieceTrie::Piece> PiecesOf(const std::vector<std::pair<std::string, double>>& pieces) {
  std::vector<PieceTrie::Piece> result;
  result.reserve(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (!pieces[i].first.empty()) result.emplace_back(pieces[i].first, static_cast<uint32_t>(i));
  }
  return result;
}

size_t CharacterBytes(char lead) {
  const uint8_t byte = static_cast<uint8_t>(lead);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

}  // namespace

Unigram::Unigram(const Settings& settings)
    : pieces_(PiecesOf(settings.pieces)), unknown_(settings.unknown) {
  score_.reserve(settings.pieces.size());
  double least = 0;
  for (const auto& [piece, score] : settings.pieces) {
    least = score_.empty() ? score : std::min(least, score);
    score_.push_back(score);
  }
  unknown_score_ = least - kUnknownPenalty;
}

void Unigram::Append(absl::string_view word, TokenScratch& scratch,
                     std::vector<uint32_t>& ids) const {
  std::vector<TokenScratch::Step>& steps = scratch.steps;
  steps.assign(word.size() + 1, {0, kUnreached, 0});
  const auto reach = [&steps](size_t end, double score, size_t begin, uint32_t id) {
    TokenScratch::Step& step = steps[end];
    if (step.begin != kUnreached && score <= step.score) return;
    step = {score, static_cast<uint32_t>(begin), id};
  };
  for (size_t begin = 0; begin < word.size();) {
    const size_t character = std::min(CharacterBytes(word[begin]), word.size() - begin);
    const double until_here = steps[begin].score;
    bool known = false;
    uint32_t node = PieceTrie::kRoot;
    for (size_t at = begin; at < word.size();) {
      node = pieces_.Next(node, word[at++]);
      if (node == PieceTrie::kNone) break;
      const uint32_t id = pieces_.IdAt(node);
      if (id == PieceTrie::kNone) continue;
      reach(at, until_here + score_[id], begin, id);
      known |= at - begin == character;
    }
    if (!known) reach(begin + character, until_here + unknown_score_, begin, unknown_);
    begin += character;
  }
  const size_t before = ids.size();
  for (size_t end = word.size(); end > 0; end = steps[end].begin) {
    const uint32_t id = steps[end].id;
    const bool more_unknown = id == unknown_ && ids.size() > before && ids.back() == unknown_;
    if (!more_unknown) ids.push_back(id);
  }
  std::reverse(ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end());
}

}  // namespace penstock::router
