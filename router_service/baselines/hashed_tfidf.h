#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "router_service/features/sparse_rows.h"

namespace penstock::router {

// TF-IDF of hashed word 1-2-grams, the features of the reference gates: words are runs of ASCII
// letters in lower case and every other character by itself, hashed by FNV-1a; (1 + log tf) times a
// smoothed idf; rows have length 1.
class HashedTfidf {
 public:
  // Document frequencies are those of `texts`.
  HashedTfidf(absl::Span<const std::string* const> texts, uint32_t columns);

  SparseRows Transform(absl::Span<const std::string* const> texts) const;

 private:
  const uint32_t columns_;
  std::vector<float> idf_;
};

}  // namespace penstock::router
