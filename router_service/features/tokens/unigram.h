#pragma once

#include <string>
#include <utility>
#include <vector>

#include "router_service/features/tokens/piece_trie.h"
#include "router_service/features/tokens/token_model.h"

namespace penstock::router {

// The pieces whose log probabilities sum to the most, by Viterbi's algorithm: of equal ways to a
// byte, the one that begins earlier. A character that is no piece is unknown, at 10 below the least
// score, and neighbours that are unknown are one. Kudo 2018, arXiv:1804.10959.
class Unigram final : public TokenModel {
 public:
  struct Settings {
    std::vector<std::pair<std::string, double>> pieces;  // id: its place
    uint32_t unknown = 0;
  };
  explicit Unigram(const Settings& settings);

  void Append(absl::string_view word, TokenScratch& scratch,
              std::vector<uint32_t>& ids) const override;
  uint32_t unknown() const override { return unknown_; }

 private:
  PieceTrie pieces_;
  std::vector<double> score_;  // [pieces]
  const uint32_t unknown_;
  double unknown_score_ = 0;
};

}  // namespace penstock::router
