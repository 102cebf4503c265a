#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock::router {

// SentencePiece's table of what characters become ("precompiled_charsmap"): the length of a trie, a
// trie of Darts-clone, and the strings that it leads to, each ended by a zero. It is looked up as the
// tokenizers library does, by clusters of characters of less than six bytes, then by characters, and
// of several prefixes that stand in it the shortest counts. Immutable, thread-safe.
class PrecompiledMap {
 public:
  static absl::StatusOr<std::shared_ptr<const PrecompiledMap>> Parse(absl::string_view table);

  // Appends until `to` has `most` bytes. `text` is UTF-8.
  void Apply(absl::string_view text, size_t most, std::string& to) const;

 private:
  PrecompiledMap() = default;
  // False: nothing stands for a prefix of `part`.
  bool Find(absl::string_view part, absl::string_view& becomes) const;

  std::vector<uint32_t> units_;
  std::string strings_;
  std::array<std::string, 128> ascii_;
};

}  // namespace penstock::router
