#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "router_service/recording/chain/record_line.h"

namespace penstock::router {

// Follows the chain of one log, line by line and segment by segment, and says where it breaks.
class ChainFollower {
 public:
  // The newest form of records that this build reads and writes.
  static constexpr uint32_t kSchemaVersion = 1;

  // The lines from here on are those of the segment that is named after `sequence`.
  void BeginSegment(uint64_t sequence);
  // The record of a line without its newline, which outlives it. DATA_LOSS says what is wrong; then
  // nothing more of this segment is taken, and the next segment is believed to begin where it says.
  absl::StatusOr<Record> Take(absl::string_view line);
  // What is wrong was found elsewhere.
  void Broken();

  // Of the records so far.
  const std::string& log() const { return log_; }  // id; empty: none was read
  uint64_t first_sequence() const { return first_sequence_; }
  // What the first record said that is before it; zeros where it is the log's first.
  const RecordHash& anchor() const { return anchor_; }
  uint64_t sequence() const { return sequence_; }  // of the last one
  const RecordHash& hash() const { return hash_; }
  uint64_t segment_records() const { return segment_records_; }  // of the segment at hand
  // Where the log begins, by the last header.
  uint64_t oldest_sequence() const { return oldest_sequence_; }
  // The last record ends its segment, and says that the router stopped.
  bool closed() const { return closed_; }
  bool stopped() const { return stopped_; }

 private:
  absl::Status Check(const RecordLine& line, const Record& record);
  absl::Status TakeHeader(const Record& record);
  absl::Status TakeClose(const Record& record);

  std::string log_;
  uint64_t segment_ = 0;
  uint64_t segment_records_ = 0;
  bool linked_ = false;  // the next record must follow on the last one
  bool began_ = false;   // some record was taken
  bool broken_ = false;  // this segment
  bool closed_ = false;
  bool stopped_ = false;
  uint64_t first_sequence_ = 0;
  RecordHash anchor_{};
  uint64_t sequence_ = 0;
  RecordHash hash_{};
  uint64_t oldest_sequence_ = 0;
};

}  // namespace penstock::router
