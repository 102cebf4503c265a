#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock::router {

// What a token model works in. Reused from text to text by one thread, it stops allocating.
struct TokenScratch {
  // Of Unigram: the best way to each byte of a word.
  struct Step {
    double score = 0;
    uint32_t begin = 0;
    uint32_t id = 0;
  };
  std::vector<Step> steps;
};

// Words -> ids of pieces. Immutable, thread-safe.
class TokenModel {
 public:
  virtual ~TokenModel() = default;

  // Appends the ids of `word`, which is UTF-8 and not empty, shorter than 4 GiB.
  virtual void Append(absl::string_view word, TokenScratch& scratch,
                      std::vector<uint32_t>& ids) const = 0;
  // What stands where no piece does.
  virtual uint32_t unknown() const = 0;
};

}  // namespace penstock::router
