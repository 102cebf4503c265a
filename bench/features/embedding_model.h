#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace penstock::router {

// Static embeddings of the size of a usual model: 29,528 tokens in 256 dimensions. The frequent half
// of the prompts' words are tokens, the others are taken apart.
struct EmbeddingModel {
  static constexpr size_t kTokens = 29528;
  static constexpr size_t kDimension = 256;

  std::map<std::string, uint32_t> vocabulary;
  std::vector<float> rows;  // [tokens, dimension]

  static EmbeddingModel Make();
  absl::Status Write(const std::string& folder) const;
  // Of an ASCII prompt, the plain way: strings, a map and double precision.
  std::vector<double> MeanPlainly(const std::string& prompt, size_t& tokens) const;
};

}  // namespace penstock::router
