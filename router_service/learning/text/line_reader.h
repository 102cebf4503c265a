#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct gzFile_s;

namespace penstock::router {

// The lines of a file, plain or gzipped, without holding all of it.
class LineReader {
 public:
  static constexpr size_t kLongestLine = size_t{16} << 20;

  // NOT_FOUND where it cannot be opened.
  static absl::StatusOr<std::unique_ptr<LineReader>> Open(const std::string& path);
  ~LineReader();

  // False at the end. `line` lives until the next call; what goes beyond kLongestLine is left out
  // and `cut` says so. INVALID_ARGUMENT for a damaged file.
  absl::StatusOr<bool> Next(absl::string_view& line, bool& cut);
  size_t number() const { return number_; }  // of the line last given, from 1

 private:
  explicit LineReader(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  gzFile_s* file_ = nullptr;
  std::vector<char> buffer_;
  size_t at_ = 0, end_ = 0;
  std::string line_;
  size_t number_ = 0;
};

}  // namespace penstock::router
