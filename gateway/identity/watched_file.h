#pragma once

#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace penstock::gateway {

// A small file that others rewrite. Not thread-safe.
class WatchedFile {
 public:
  static constexpr size_t kMaxBytes = 1 << 20;

  explicit WatchedFile(std::string path) : path_(std::move(path)) {}

  // What stands in it where that is not what stood there at the last call; else nothing. By
  // content: a file's time says too little when it is replaced twice within a tick, or through
  // links. The error of a file that cannot be read comes once, too, and names its path.
  std::optional<absl::StatusOr<std::string>> Changed();

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  std::optional<absl::StatusOr<std::string>> last_;
};

}  // namespace penstock::gateway
