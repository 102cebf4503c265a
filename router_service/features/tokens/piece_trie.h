#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock::router {

// Pieces of text and their ids, to walk along a text byte by byte: a double array (Aoe 1989), one
// place per node and one look at memory per step.
class PieceTrie {
 public:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  static constexpr uint32_t kRoot = 0;

  using Piece = std::pair<absl::string_view, uint32_t>;
  PieceTrie() : PieceTrie(std::vector<Piece>()) {}
  // Any order; of equal pieces the last one given counts. An empty piece is at kRoot.
  explicit PieceTrie(std::vector<Piece> pieces);

  // The node that `byte` leads to; kNone where no piece goes on like that.
  uint32_t Next(uint32_t node, char byte) const {
    const uint32_t next = nodes_[node].base + static_cast<uint8_t>(byte);
    return next < nodes_.size() && nodes_[next].parent == node ? next : kNone;
  }
  // The piece that ends at a node; kNone where none does.
  uint32_t IdAt(uint32_t node) const { return nodes_[node].id; }
  // By all of `text`; kNone where no piece begins so.
  uint32_t Walk(uint32_t node, absl::string_view text) const {
    for (size_t i = 0; i < text.size() && node != kNone; ++i) node = Next(node, text[i]);
    return node;
  }
  size_t nodes() const { return nodes_.size(); }

 private:
  struct Node {
    uint32_t base = kNone;    // children stand at base + byte; kNone: it has none
    uint32_t parent = kNone;  // kNone: the place is free, or the root
    uint32_t id = kNone;
  };
  struct Range;
  uint32_t FreeBase(const std::vector<uint8_t>& bytes);
  void Grow(size_t places);

  std::vector<Node> nodes_;
  size_t search_from_ = 1;  // nearly all places before it are taken
};

}  // namespace penstock::router
