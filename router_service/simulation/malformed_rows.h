#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace penstock::router {

// Rows of a table that could not be read: counted, the first ones named, skipped up to a limit.
class MalformedRows {
 public:
  static constexpr size_t kNamed = 10;

  explicit MalformedRows(size_t limit) : limit_(limit) {}

  // OK: go on with the next row. INVALID_ARGUMENT, naming the rows: there are more than the limit.
  absl::Status Skip(absl::string_view file, size_t line, absl::string_view problem);
  size_t count() const { return count_; }
  const std::vector<std::string>& named() const { return named_; }  // "file:line: problem"

 private:
  const size_t limit_;
  size_t count_ = 0;
  std::vector<std::string> named_;
};

}  // namespace penstock::router
