#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "router_service/recording/chain/chain_follower.h"
#include "router_service/recording/chain/segment_file.h"

namespace penstock::router {

// Reads the records of a log's folder in order and checks their chain on the way. A router may
// write to it meanwhile.
class LogReader {
 public:
  // NOT_FOUND: no such folder. INVALID_ARGUMENT: no segment in it.
  static absl::StatusOr<std::unique_ptr<LogReader>> Open(std::string folder);

  // False at the end: later there may be more. Views of `record` live until the next call.
  // DATA_LOSS "path:line: what is wrong": the next call goes on with the next segment.
  absl::StatusOr<bool> Next(Record& record);

  // The line of the record that was given last: "path:line", and its bytes.
  std::string where() const;
  absl::string_view line() const { return line_; }
  const std::string& file() const { return name_; }  // without the folder
  uint64_t line_number() const { return number_; }
  uint64_t taken_bytes() const { return taken_bytes_; }  // of this file's records

  const ChainFollower& chain() const { return chain_; }
  uint64_t segments() const { return segments_; }  // begun
  // At the end: bytes of a line that is not whole.
  uint64_t unfinished() const { return lines_ == nullptr ? 0 : lines_->unfinished(); }

 private:
  explicit LogReader(std::string folder) : folder_(std::move(folder)) {}
  // Finds segments after the last one that was opened.
  absl::Status List();
  absl::StatusOr<bool> OpenNext();
  absl::Status Break(absl::string_view what);

  const std::string folder_;
  std::deque<SegmentFile> ahead_;
  uint64_t opened_ = 0;  // sequence of the last one opened
  std::unique_ptr<SegmentLines> lines_;
  ChainFollower chain_;
  std::string name_;
  uint64_t number_ = 0;
  uint64_t taken_bytes_ = 0;
  absl::string_view line_;
  uint64_t segments_ = 0;
};

// Whether `path` is a log's folder rather than a file.
bool IsLogFolder(const std::string& path);

}  // namespace penstock::router
