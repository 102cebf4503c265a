#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock::router {

// One file of a log's folder: the records from `sequence` on.
struct SegmentFile {
  uint64_t sequence = 0;
  std::string name;  // without the folder
};

std::string SegmentName(uint64_t sequence);
// By sequence. Other files of the folder are passed over. NOT_FOUND: there is no such folder.
absl::StatusOr<std::vector<SegmentFile>> ListSegments(const std::string& folder);

// 16 hex digits, small letters.
bool IsLogId(absl::string_view text);

// FAILED_PRECONDITION "path: errno's text"; NOT_FOUND where there is no such file,
// RESOURCE_EXHAUSTED where there is no room.
absl::Status FileError(const std::string& path);
absl::Status WriteFully(int file, absl::string_view text, const std::string& path);
// Puts a file, or which files a folder has, on the disk.
absl::Status SyncPath(const std::string& path);

// The whole lines of a segment, which may still grow: after the end it may have more.
class SegmentLines {
 public:
  static absl::StatusOr<std::unique_ptr<SegmentLines>> Open(const std::string& path);
  ~SegmentLines();

  enum class Got { kLine, kEnd, kTooLong };
  // `line` is without its newline, and lives until the next call. kTooLong is final.
  absl::StatusOr<Got> Next(absl::string_view& line);
  // Bytes of the lines that were given.
  uint64_t bytes() const { return bytes_; }
  // Bytes that were seen after them.
  size_t unfinished() const { return buffer_.size() - at_; }

 private:
  SegmentLines(std::string path, int file) : path_(std::move(path)), file_(file) {}

  const std::string path_;
  const int file_;
  std::string buffer_;
  size_t at_ = 0;       // of the next line
  size_t scanned_ = 0;  // no newline between at_ and here
  uint64_t bytes_ = 0;
};

}  // namespace penstock::router
