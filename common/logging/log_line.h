#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace penstock {

enum class LogFormat { kKeyValue, kJson };

// One line of the log under construction: fields in the order in which they are added. Whatever a
// value holds, the line stays one line, begins no key of its own, and is valid UTF-8. Keys are
// words of the code.
class LogLine {
 public:
  // Longest value, as it is written, and longest line. A value that is longer is cut and ends in
  // "..."; what finds no room in the line is left out, and `cut=true` says so.
  static constexpr size_t kMaxValueBytes = 1024;
  static constexpr size_t kMaxLineBytes = 8192;

  explicit LogLine(LogFormat format);

  void Text(absl::string_view key, absl::string_view value, size_t max_bytes = kMaxValueBytes);
  // `value` as JSON has it: a number, true or false.
  void Plain(absl::string_view key, absl::string_view value);

  // The line with its newline. Nothing is added afterwards.
  std::string Finish();

 private:
  void Add(absl::string_view key, absl::string_view value);

  const LogFormat format_;
  std::string line_;
  bool cut_ = false;
};

}  // namespace penstock
