#pragma once

#include <string>

#include "absl/strings/str_cat.h"

namespace penstock::router {

// An outcome table: `small` is right on poems, `big` on proofs and every second poem. Poems take 20
// output tokens, proofs 400; a token takes 0.1 J of small and 2 J of big.
inline std::string PoemsAndProofs(int rows) {
  constexpr const char* kThings[] = {"sea", "sky", "moon", "wind", "rain", "star", "leaf", "snow"};
  std::string table;
  for (int i = 0; i < rows; ++i) {
    const bool poem = i % 2 == 0;
    const char* thing = kThings[i / 2 % 8];
    const int tokens = (poem ? 20 : 400) + i % 5;
    absl::StrAppend(&table, R"({"prompt": ")",
                    poem ? "write a poem on the " : "give a proof of the theorem of ", thing, " ",
                    i, R"(", "experts": {"small": {"quality": )", poem ? 1 : 0,
                    R"(, "out_tokens": )", tokens, R"(, "joules": )", tokens / 10.0,
                    R"(}, "big": {"quality": )", poem ? i / 2 % 2 : 1, R"(, "out_tokens": )",
                    tokens, R"(, "joules": )", tokens * 2, "}}}\n");
  }
  return table;
}

}  // namespace penstock::router
