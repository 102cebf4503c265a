#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace penstock::cli {

// Rows of text as aligned columns for people: the first column to the left, the others to the
// right.
class Table {
 public:
  explicit Table(std::vector<std::string> header);
  // As many cells as the header has.
  void AddRow(std::vector<std::string> cells);
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the header first
};

// A progress bar on standard error while work takes longer than two seconds, on terminals only.
class Progress {
 public:
  Progress(std::string what, size_t total);
  ~Progress();  // clears the line
  void Advance(size_t done);

 private:
  const std::string what_;
  const size_t total_;
  const bool terminal_;
  const int64_t started_ms_;
  int64_t shown_ms_ = 0;
};

}  // namespace penstock::cli
