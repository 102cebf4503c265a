#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock::router {

// Something that came out otherwise than the log has it.
struct Mismatch {
  std::string where;  // a decision's id, or an event's sequence
  std::string what;   // which number
  std::string logged;
  std::string replayed;
};

// Keeps the first ones and counts them all.
class Mismatches {
 public:
  static constexpr size_t kKept = 20;

  // True where they are the same, to the last bit; else it is noted.
  bool Same(absl::string_view where, absl::string_view what, double logged, double replayed);
  bool Same(absl::string_view where, absl::string_view what, absl::string_view logged,
            absl::string_view replayed);
  bool Same(absl::string_view where, absl::string_view what, bool logged, bool replayed) {
    return Same(where, what, Word(logged), Word(replayed));
  }
  void Add(absl::string_view where, absl::string_view what, absl::string_view logged,
           absl::string_view replayed);

  uint64_t count() const { return count_; }
  const std::vector<Mismatch>& first() const { return first_; }

 private:
  static absl::string_view Word(bool flag) { return flag ? "true" : "false"; }

  uint64_t count_ = 0;
  std::vector<Mismatch> first_;
};

}  // namespace penstock::router
