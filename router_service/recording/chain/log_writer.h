#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/time/clock.h"
#include "router_service/recording/chain/log_end.h"
#include "router_service/recording/chain/log_head.h"
#include "router_service/recording/chain/record_line.h"

namespace penstock::router {

// How many records of each kind.
using RecordCounts = std::array<uint64_t, kRecordKinds>;

struct LogWriterOptions {
  uint32_t router = 0;  // its instance, for headers
  uint64_t segment_bytes = uint64_t{64} << 20;
  uint64_t max_bytes = uint64_t{4} << 30;
  absl::Duration max_age = absl::Hours(24 * 30);
  // Runs after each sync, on the thread that syncs: where the head is kept beside the folder.
  absl::AnyInvocable<void(const LogHead&)> head_synced;
};

// Appends records to the segments of one folder, chained, and removes the oldest segments. A disk
// that fails loses records, of which the log then tells. Used by one thread at a time.
class LogWriter {
 public:
  static constexpr absl::Duration kSegmentAge = absl::Hours(1);
  static constexpr size_t kMostSegments = 10'000;

  // Begins a segment, or where the disk is full, tries to with each Sync. FAILED_PRECONDITION: the
  // folder cannot be written, or another process writes to it. `clock` outlives the writer.
  static absl::StatusOr<std::unique_ptr<LogWriter>> Open(const std::string& folder,
                                                         LogWriterOptions options,
                                                         const Clock& clock);
  // Ends the log in order.
  ~LogWriter();

  // `content` is a message of that kind as JSON. In memory until Sync, or until there is much.
  void Append(RecordKind kind, absl::string_view content);
  // Records that never came here are missing in this place: a gap record says so.
  void NoteMissing(RecordKind kind, uint64_t records = 1);
  // Puts all records on the disk, then the head. What an error lost is noted.
  absl::Status Sync();
  // Now and then: ends a segment that is old, and removes those that are too old.
  void Tick();

  // Appended records that are in no segment, by kind.
  const RecordCounts& lost() const { return lost_; }
  uint64_t failures() const { return failures_; }  // of writing or syncing
  uint64_t sequence() const { return synced_.sequence; }
  uint64_t bytes() const;  // of all segments
  uint64_t segments() const { return kept_.size() + (file_ >= 0 ? 1 : 0); }
  // The last error, for people.
  const absl::Status& last_error() const { return last_error_; }

 private:
  struct Position {
    uint64_t sequence = 0;
    RecordHash hash{};
    uint64_t segment_records = 0;
  };

  LogWriter(std::string folder, LogWriterOptions options, const Clock& clock, int lock);

  std::string Path(absl::string_view name) const;
  absl::Status BeginSegment();
  // In order, as far as that can be; then none is open, unless what it holds cannot be synced.
  void EndSegment(bool stopped);
  void LeaveSegment();
  // Whether a segment is open that a record of so many bytes fits in.
  bool MakeRoom(size_t bytes);
  void Lose(RecordKind kind);
  void AppendGap();
  // Into the buffer.
  void Add(RecordKind kind, absl::string_view content);
  // Writes the buffer, or nothing of it.
  absl::Status WriteBuffer();
  absl::Status Flush();
  // Takes off the file what stands after file_bytes_. False: it cannot, and nothing may be added.
  bool Trim();
  // What was written since it was synced last is certain now, or it is lost. Of an empty buffer.
  absl::Status SyncFile();
  void NoteSynced();
  absl::Status TellHead();
  void Failed(const absl::Status& status);
  // How many of the oldest segments go when another begins.
  size_t Superfluous(absl::Time now) const;

  const std::string folder_;
  LogWriterOptions options_;
  const Clock& clock_;
  const int lock_;  // file
  std::string log_;
  uint64_t oldest_sequence_ = 1;             // as in v1.SegmentHeader
  std::optional<v1::LogRecovery> recovery_;  // for the next segment
  std::deque<KeptSegment> kept_;             // complete ones
  uint64_t kept_bytes_ = 0;
  int file_ = -1;
  std::string name_;
  absl::Time opened_;
  uint64_t file_bytes_ = 0;  // written
  std::string record_, buffer_;
  Position next_;     // after the buffer
  Position written_;  // after file_bytes_
  Position certain_;  // after certain_bytes_: on the disk
  uint64_t certain_bytes_ = 0;
  bool torn_ = false;             // more than file_bytes_ may stand in the file
  LogHead synced_;                // that was told
  bool may_retry_ = true;         // to begin a segment, to trim; fails once from sync to sync
  RecordCounts buffered_{};       // of the buffer
  RecordCounts buffered_gaps_{};  // what its gap records tell
  RecordCounts unsynced_{};       // written, but not certain
  RecordCounts unsynced_gaps_{};
  RecordCounts gap_{};            // lost, and in no gap record as yet
  RecordCounts lost_{};
  uint64_t failures_ = 0;
  absl::Status last_error_;
};

}  // namespace penstock::router
