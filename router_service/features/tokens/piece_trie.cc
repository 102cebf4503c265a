#include "router_service/features/tokens/piece_trie.h"

#include <algorithm>

namespace penstock::router {

// The sorted pieces [begin, end) share their first `depth` bytes, which lead to `node`.
struct PieceTrie::Range {
  uint32_t node;
  size_t begin, end, depth;
};

PieceTrie::PieceTrie(std::vector<Piece> pieces) {
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const Piece& a, const Piece& b) { return a.first < b.first; });
  nodes_.emplace_back();
  std::vector<Range> open = {{kRoot, 0, pieces.size(), 0}};
  std::vector<uint8_t> bytes;
  std::vector<size_t> begins;
  while (!open.empty()) {
    Range range = open.back();
    open.pop_back();
    while (range.begin < range.end && pieces[range.begin].first.size() == range.depth) {
      nodes_[range.node].id = pieces[range.begin++].second;
    }
    if (range.begin == range.end) continue;
    bytes.clear();
    begins.clear();
    for (size_t i = range.begin; i < range.end; ++i) {
      const uint8_t byte = static_cast<uint8_t>(pieces[i].first[range.depth]);
      if (!bytes.empty() && bytes.back() == byte) continue;
      bytes.push_back(byte);
      begins.push_back(i);
    }
    begins.push_back(range.end);
    const uint32_t base = FreeBase(bytes);
    nodes_[range.node].base = base;
    for (size_t i = 0; i < bytes.size(); ++i) {
      nodes_[base + bytes[i]].parent = range.node;
      open.push_back({base + bytes[i], begins[i], begins[i + 1], range.depth + 1});
    }
  }
  nodes_.shrink_to_fit();
}

// The first base at which every child finds its place free.
uint32_t PieceTrie::FreeBase(const std::vector<uint8_t>& bytes) {
  const size_t first = bytes.front();
  size_t taken = 0, place = std::max(search_from_, first);
  const size_t start = place;
  for (;; ++place) {
    Grow(place + 256);
    if (nodes_[place].parent != kNone || place == kRoot) {
      ++taken;
      continue;
    }
    const size_t base = place - first;
    const bool fits = std::all_of(bytes.begin(), bytes.end(), [&](uint8_t byte) {
      return base + byte != kRoot && nodes_[base + byte].parent == kNone;
    });
    if (fits) break;
  }
  // Where nineteen of twenty were taken, the next searches need not look again.
  if (start == search_from_ && taken * 20 >= (place - start + 1) * 19) search_from_ = place;
  return static_cast<uint32_t>(place - first);
}

void PieceTrie::Grow(size_t places) {
  if (nodes_.size() < places) nodes_.resize(std::max(places, nodes_.size() * 3 / 2));
}

}  // namespace penstock::router
