#pragma once

#include <string>
#include <utility>
#include <vector>

#include "router_service/features/tokens/piece_trie.h"
#include "router_service/features/tokens/token_model.h"

namespace penstock::router {

// The longest piece that a word begins with, then the longest with the prefix of continuations that
// its rest begins with, and so on; a word that cannot be taken apart so, or that is too long, is
// unknown as a whole. Schuster and Nakajima 2012; Devlin et al. 2019, arXiv:1810.04805.
class WordPiece final : public TokenModel {
 public:
  struct Settings {
    std::vector<std::pair<std::string, uint32_t>> vocabulary;
    uint32_t unknown = 0;
    std::string continuing_prefix = "##";
    size_t max_characters = 100;  // of a word
  };
  explicit WordPiece(const Settings& settings);

  void Append(absl::string_view word, TokenScratch& scratch,
              std::vector<uint32_t>& ids) const override;
  uint32_t unknown() const override { return unknown_; }

 private:
  PieceTrie pieces_;
  uint32_t continuation_;  // the node behind the prefix; kNone: no piece has it
  const uint32_t unknown_;
  const size_t max_characters_;
};

}  // namespace penstock::router
