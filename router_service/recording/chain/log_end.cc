#include "router_service/recording/chain/log_end.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "router_service/recording/chain/chain_follower.h"
#include "router_service/recording/chain/log_head.h"
#include "router_service/recording/chain/segment_file.h"

namespace penstock::router {
namespace {

// One segment, as far as its chain holds.
struct Scan {
  ChainFollower chain;
  absl::Time last = absl::InfinitePast();  // time of the last record
  uint64_t good_bytes = 0;
  uint64_t bytes = 0;
  absl::Status broken;   // a whole line that is no record of this chain
  RecordHash at_head{};  // hash of the record that the head names
};

absl::Time TimeOf(const Record& record) {
  absl::Time time;
  return absl::ParseTime(absl::RFC3339_full, record.time, &time, nullptr) ? time
                                                                          : absl::InfiniteFuture();
}

absl::StatusOr<uint64_t> SizeOf(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) return absl::FailedPreconditionError(absl::StrCat(path, ": ", error.message()));
  return bytes;
}

// `most` lines at most.
absl::StatusOr<Scan> ScanSegment(const std::string& path, uint64_t sequence, uint64_t head,
                                 uint64_t most = UINT64_MAX) {
  Scan scan;
  PENSTOCK_ASSIGN_OR_RETURN(scan.bytes, SizeOf(path));
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<SegmentLines> lines, SegmentLines::Open(path));
  scan.chain.BeginSegment(sequence);
  absl::string_view line;
  while (scan.chain.segment_records() < most) {
    PENSTOCK_ASSIGN_OR_RETURN(const SegmentLines::Got got, lines->Next(line));
    if (got == SegmentLines::Got::kEnd) break;
    if (got == SegmentLines::Got::kTooLong) {
      scan.broken = absl::DataLossError("a line is too long");
      break;
    }
    const auto record = scan.chain.Take(line);
    if (!record.ok()) {
      scan.broken = record.status();
      break;
    }
    scan.good_bytes = lines->bytes();
    scan.last = TimeOf(*record);
    if (record->sequence == head) scan.at_head = scan.chain.hash();
  }
  return scan;
}

class EndFinder {
 public:
  EndFinder(const std::string& folder, absl::Time now) : folder_(folder), now_(now) {}

  absl::StatusOr<LogEnd> Find() {
    auto head = ReadLogHead(Path(kLogHeadFile));
    if (head.ok()) {
      head_ = *std::move(head);
    } else {
      Broken(head.status().message());
    }
    PENSTOCK_ASSIGN_OR_RETURN(segments_, ListSegments(folder_));
    if (head.ok() && !head_.has_value() && !segments_.empty()) Broken("the head is missing");
    Scan last;
    PENSTOCK_RETURN_IF_ERROR(FindLast(last));
    if (segments_.empty()) {
      if (head_.has_value()) {
        // All segments are gone: what follows must not look like a log that begins.
        Broken("all segments are missing");
        GoOnAfterHead();
      }
    } else if (last.chain.segment_records() == 0) {
      PENSTOCK_RETURN_IF_ERROR(GoOnWithout(last));
    } else {
      PENSTOCK_RETURN_IF_ERROR(GoOnWith(last));
    }
    PENSTOCK_RETURN_IF_ERROR(Keep(last));
    if (!broken_.empty()) {
      recovery().set_broken(absl::StrJoin(broken_, "; "));
      if (!segments_.empty()) recovery().set_segment(segments_.back().name);
    }
    return std::move(end_);
  }

 private:
  std::string Path(absl::string_view name) const { return absl::StrCat(folder_, "/", name); }
  v1::LogRecovery& recovery() {
    if (!end_.recovery.has_value()) end_.recovery.emplace();
    return *end_.recovery;
  }
  void Broken(absl::string_view what) { broken_.emplace_back(what); }

  void GoOnAfterHead() {
    end_.log = head_->log;
    end_.sequence = head_->sequence;
    end_.hash = head_->hash;
  }

  // The newest segment that has a record, or that cannot do without one. A crash while a segment
  // began leaves one that has none, of which nothing was ever promised.
  absl::Status FindLast(Scan& last) {
    while (!segments_.empty()) {
      const SegmentFile& newest = segments_.back();
      PENSTOCK_ASSIGN_OR_RETURN(
          last, ScanSegment(Path(newest.name), newest.sequence, head_ ? head_->sequence : 0));
      const bool promised = head_.has_value() && head_->sequence >= newest.sequence;
      if (last.chain.segment_records() > 0 || promised || !last.broken.ok())
        return absl::OkStatus();
      recovery().set_segment(newest.name);
      recovery().set_removed_bytes(recovery().removed_bytes() + last.bytes);
      std::error_code error;
      if (std::filesystem::remove(Path(newest.name), error); error) {
        return absl::FailedPreconditionError(
            absl::StrCat(Path(newest.name), ": ", error.message()));
      }
      segments_.pop_back();
    }
    return absl::OkStatus();
  }

  absl::Status GoOnWithout(const Scan& last) {
    const std::string& name = segments_.back().name;
    const std::string what = absl::StrCat(
        name, last.broken.ok() ? " is cut" : absl::StrCat(" line 1 ", last.broken.message()));
    if (!head_.has_value() || head_->sequence < segments_.back().sequence) {
      return absl::FailedPreconditionError(
          absl::StrCat(folder_, ": ", what,
                       ", and no head says where the log goes on: move the "
                       "folder's files elsewhere to begin a log anew"));
    }
    recovery().set_segment(name);
    Broken(what);
    GoOnAfterHead();
    return absl::OkStatus();
  }

  absl::Status GoOnWith(const Scan& last) {
    const ChainFollower& chain = last.chain;
    const std::string& name = segments_.back().name;
    if (head_.has_value() && head_->log != chain.log()) {
      Broken(absl::StrCat("the head was of log ", head_->log));
      head_.reset();
    }
    const bool behind = head_.has_value() && head_->sequence > chain.sequence();
    const bool tail = last.bytes > last.good_bytes;
    end_.log = chain.log();
    end_.sequence = chain.sequence();
    end_.hash = chain.hash();
    if (!chain.stopped() || tail || behind) recovery().set_segment(name);
    if (tail && !behind && (last.broken.ok() || head_.has_value())) {
      // Nothing of it was promised.
      if (truncate(Path(name).c_str(), static_cast<off_t>(last.good_bytes)) != 0) {
        return FileError(Path(name));
      }
      recovery().set_removed_bytes(recovery().removed_bytes() + last.bytes - last.good_bytes);
    } else if (tail) {
      Broken(absl::StrCat(name, " is broken after record ", chain.sequence(),
                          last.broken.ok() ? "" : absl::StrCat(": ", last.broken.message())));
    }
    if (!chain.stopped() || tail) PENSTOCK_RETURN_IF_ERROR(SyncPath(Path(name)));
    if (behind) {
      Broken(
          absl::StrCat("records ", chain.sequence() + 1, " to ", head_->sequence, " are missing"));
      GoOnAfterHead();
    } else if (head_.has_value() && head_->sequence >= chain.first_sequence() &&
               last.at_head != head_->hash) {
      Broken(absl::StrCat("record ", head_->sequence, " is not the one of the head"));
    }
    return absl::OkStatus();
  }

  // What is kept, for age and size, and what should be.
  absl::Status Keep(const Scan& last) {
    // A segment's records are no later than the next one's header that can be read.
    absl::Time ended = now_;
    end_.oldest_sequence = last.chain.oldest_sequence();
    if (last.chain.segment_records() > 0) ended = std::min(ended, last.last);
    for (size_t i = segments_.size(); i-- > 0;) {
      KeptSegment kept{.sequence = segments_[i].sequence, .name = segments_[i].name};
      PENSTOCK_ASSIGN_OR_RETURN(kept.bytes, SizeOf(Path(kept.name)));
      kept.ended = ended;
      end_.segments.push_front(std::move(kept));
      PENSTOCK_ASSIGN_OR_RETURN(const Scan header,
                                ScanSegment(Path(segments_[i].name), segments_[i].sequence, 0, 1));
      if (header.chain.segment_records() == 0) continue;
      ended = std::min(ended, header.last);
      end_.oldest_sequence = std::max(end_.oldest_sequence, header.chain.oldest_sequence());
    }
    const uint64_t front = segments_.empty() ? end_.sequence + 1 : segments_.front().sequence;
    if (end_.oldest_sequence == 0) end_.oldest_sequence = front;
    if (end_.oldest_sequence < front) {
      Broken(absl::StrCat(SegmentName(end_.oldest_sequence), " is missing"));
    }
    return absl::OkStatus();
  }

  const std::string& folder_;
  const absl::Time now_;
  std::optional<LogHead> head_;
  std::vector<SegmentFile> segments_;
  LogEnd end_;
  std::vector<std::string> broken_;
};

}  // namespace

absl::StatusOr<LogEnd> FindLogEnd(const std::string& folder, absl::Time now) {
  return EndFinder(folder, now).Find();
}

}  // namespace penstock::router
