#include "router_service/recording/chain/log_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "router_service/recording/chain/chain_follower.h"
#include "router_service/recording/chain/segment_file.h"

namespace penstock::router {
namespace {

constexpr size_t kFlush = size_t{256} << 10;
// What a segment keeps free beside a record's content: for its frame, for a gap before it and for
// the closing record.
constexpr size_t kRoomForOwn = 2048;

std::string Json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  // Of our own messages, all of whose text is ASCII or a file's name.
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) text = "{}";
  return text;
}

// Unlike that of any other log that this router begins, and of those that others do.
std::string NewLogId(uint32_t router, absl::Time now) {
  const RecordHash hash = HashRecord({}, absl::StrCat("log ", router, " ", absl::ToUnixNanos(now)));
  return HashToHex(hash).substr(0, 16);
}

// The lock's file, held; another process that appends would break the chain.
absl::StatusOr<int> Lock(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/lock");
  const int lock = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
  if (lock < 0) return FileError(path);
  if (flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
  const absl::Status status =
      errno == EWOULDBLOCK
          ? absl::FailedPreconditionError(absl::StrCat(folder, ": another router writes to it"))
          : FileError(path);
  close(lock);
  return status;
}

void AddTo(RecordCounts& counts, const RecordCounts& more) {
  for (size_t i = 0; i < counts.size(); ++i) counts[i] += more[i];
}

bool Any(const RecordCounts& counts) {
  return std::any_of(counts.begin(), counts.end(), [](uint64_t count) { return count > 0; });
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogWriter>> LogWriter::Open(const std::string& folder,
                                                           LogWriterOptions options,
                                                           const Clock& clock) {
  if (mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST) {
    return absl::FailedPreconditionError(FileError(folder).message());
  }
  PENSTOCK_ASSIGN_OR_RETURN(const int lock, Lock(folder));
  auto writer = std::unique_ptr<LogWriter>(new LogWriter(folder, std::move(options), clock, lock));
  PENSTOCK_ASSIGN_OR_RETURN(LogEnd end, FindLogEnd(folder, clock.Now()));
  writer->log_ = end.log.empty() ? NewLogId(writer->options_.router, clock.Now()) : end.log;
  writer->kept_ = std::move(end.segments);
  for (const KeptSegment& kept : writer->kept_) writer->kept_bytes_ += kept.bytes;
  writer->next_ = {.sequence = end.sequence, .hash = end.hash};
  writer->written_ = writer->next_;
  writer->synced_ = {.log = writer->log_, .sequence = end.sequence, .hash = end.hash};
  writer->oldest_sequence_ = end.oldest_sequence;
  writer->recovery_ = std::move(end.recovery);
  if (const absl::Status status = writer->BeginSegment(); !status.ok()) {
    // A disk that is full loses records; it does not keep the router from serving.
    if (!absl::IsResourceExhausted(status)) return status;
    writer->Failed(status);
  }
  return writer;
}

LogWriter::LogWriter(std::string folder, LogWriterOptions options, const Clock& clock, int lock)
    : folder_(std::move(folder)), options_(std::move(options)), clock_(clock), lock_(lock) {}

LogWriter::~LogWriter() {
  if (file_ >= 0) {
    may_retry_ = true;
    if (Trim()) AppendGap();
    EndSegment(/*stopped=*/true);
  }
  if (file_ >= 0) close(file_);
  close(lock_);
}

std::string LogWriter::Path(absl::string_view name) const {
  return absl::StrCat(folder_, "/", name);
}

uint64_t LogWriter::bytes() const { return kept_bytes_ + file_bytes_; }

void LogWriter::Failed(const absl::Status& status) {
  ++failures_;
  last_error_ = status;
}

size_t LogWriter::Superfluous(absl::Time now) const {
  size_t superfluous = 0;
  uint64_t bytes = kept_bytes_;
  for (const KeptSegment& oldest : kept_) {
    const bool fits = bytes + options_.segment_bytes <= options_.max_bytes &&
                      kept_.size() - superfluous < kMostSegments;
    if (fits && oldest.ended >= now - options_.max_age) break;
    bytes -= oldest.bytes;
    ++superfluous;
  }
  return superfluous;
}

absl::Status LogWriter::BeginSegment() {
  const absl::Time now = clock_.Now();
  const Position before = {.sequence = written_.sequence, .hash = written_.hash};
  const std::string name = SegmentName(before.sequence + 1);
  file_ = open(Path(name).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_CLOEXEC, 0640);
  if (file_ < 0) return FileError(Path(name));
  const size_t superfluous = Superfluous(now);
  // Those that are missing stay missed until others that are later are removed.
  uint64_t from = oldest_sequence_;
  if (superfluous > 0) {
    from = std::max(
        from, superfluous < kept_.size() ? kept_[superfluous].sequence : before.sequence + 1);
  }
  v1::SegmentHeader header;
  header.set_log(log_);
  header.set_router(absl::StrFormat("%08x", options_.router));
  header.set_schema_version(ChainFollower::kSchemaVersion);
  header.set_oldest_sequence(from);
  name_ = name;
  opened_ = now;
  next_ = written_ = before;
  Add(RecordKind::kHeader, Json(header));
  if (recovery_.has_value()) Add(RecordKind::kRecovery, Json(*recovery_));
  absl::Status status = WriteBuffer();
  if (status.ok() && fdatasync(file_) != 0) status = FileError(Path(name));
  // No head is on the disk before what it promises.
  if (status.ok()) status = SyncPath(folder_);
  if (status.ok()) status = TellHead();
  if (!status.ok()) {
    // As if it had never begun.
    close(file_);
    unlink(Path(name).c_str());
    file_ = -1;
    file_bytes_ = 0;
    next_ = written_ = before;
    return status;
  }
  NoteSynced();
  recovery_.reset();
  oldest_sequence_ = from;
  // A log without a head would seem cut; later ones may come to the disk later.
  if (status = SyncPath(folder_); !status.ok()) Failed(status);
  // From here on the header says that they are gone.
  for (size_t i = 0; i < superfluous; ++i) {
    const KeptSegment& oldest = kept_.front();
    if (unlink(Path(oldest.name).c_str()) != 0) Failed(FileError(Path(oldest.name)));
    kept_bytes_ -= oldest.bytes;
    kept_.pop_front();
  }
  return absl::OkStatus();
}

void LogWriter::LeaveSegment() {
  close(file_);
  kept_.push_back({.sequence = written_.sequence - written_.segment_records + 1,
                   .name = name_,
                   .bytes = file_bytes_,
                   .ended = clock_.Now()});
  kept_bytes_ += file_bytes_;
  file_ = -1;
  file_bytes_ = 0;
  next_ = written_;
}

void LogWriter::EndSegment(bool stopped) {
  if (!Trim()) return;
  v1::SegmentClose close;
  close.set_records(next_.segment_records + 1);
  close.set_stopped(stopped);
  Add(RecordKind::kClose, Json(close));
  // Without room for its end it has none, but what stands in it must be on the disk: the next head
  // promises all that is before it.
  (void)Flush();
  if (torn_ || !SyncFile().ok()) return;
  const absl::Status told = TellHead();
  LeaveSegment();
  if (!stopped || !told.ok()) return;
  if (const absl::Status status = SyncPath(folder_); !status.ok()) Failed(status);
}

bool LogWriter::MakeRoom(size_t bytes) {
  const auto fits = [&] {
    return file_bytes_ + buffer_.size() + bytes + kRoomForOwn <= options_.segment_bytes;
  };
  if (!Trim()) return false;
  const bool used = next_.segment_records > 1;
  if (file_ >= 0 && used && (!fits() || clock_.Now() - opened_ >= kSegmentAge)) EndSegment(false);
  if (torn_) return false;
  if (file_ < 0) {
    if (!may_retry_) return false;
    if (const absl::Status status = BeginSegment(); !status.ok()) {
      Failed(status);
      may_retry_ = false;
      return false;
    }
  }
  return fits();
}

void LogWriter::Append(RecordKind kind, absl::string_view content) {
  if (content.size() > kLongestRecordLine / 2 || !MakeRoom(content.size())) return Lose(kind);
  AppendGap();
  Add(kind, content);
  ++buffered_[static_cast<size_t>(kind)];
  // What an error loses is counted there.
  if (buffer_.size() >= kFlush) (void)Flush();
}

void LogWriter::NoteMissing(RecordKind kind, uint64_t records) {
  gap_[static_cast<size_t>(kind)] += records;
}

void LogWriter::Lose(RecordKind kind) {
  ++lost_[static_cast<size_t>(kind)];
  ++gap_[static_cast<size_t>(kind)];
}

void LogWriter::AppendGap() {
  if (!Any(gap_)) return;
  v1::LogGap gap;
  gap.set_decisions(gap_[static_cast<size_t>(RecordKind::kDecision)]);
  gap.set_events(gap_[static_cast<size_t>(RecordKind::kEvent)]);
  gap.set_audits(gap_[static_cast<size_t>(RecordKind::kAudit)]);
  Add(RecordKind::kGap, Json(gap));
  AddTo(buffered_gaps_, gap_);
  gap_ = {};
}

void LogWriter::Add(RecordKind kind, absl::string_view content) {
  record_.clear();
  AppendRecord(next_.sequence + 1, clock_.Now(), kind, content, record_);
  const RecordHash hash = HashRecord(next_.hash, record_);
  AppendRecordLine(next_.hash, hash, record_, buffer_);
  next_.hash = hash;
  ++next_.sequence;
  ++next_.segment_records;
}

absl::Status LogWriter::WriteBuffer() {
  const absl::Status status = WriteFully(file_, buffer_, Path(name_));
  if (status.ok()) {
    file_bytes_ += buffer_.size();
    written_ = next_;
  }
  next_ = written_;
  buffer_.clear();
  return status;
}

absl::Status LogWriter::Flush() {
  if (buffer_.empty()) return absl::OkStatus();
  const absl::Status status = WriteBuffer();
  if (!status.ok()) {
    Failed(status);
    AddTo(lost_, buffered_);
    AddTo(gap_, buffered_);
    AddTo(gap_, buffered_gaps_);
    // Part of a record may stand there.
    torn_ = true;
    (void)Trim();
  } else {
    AddTo(unsynced_, buffered_);
    AddTo(unsynced_gaps_, buffered_gaps_);
  }
  buffered_ = buffered_gaps_ = {};
  return status;
}

bool LogWriter::Trim() {
  if (!torn_) return true;
  if (!may_retry_) return false;
  if (ftruncate(file_, static_cast<off_t>(file_bytes_)) == 0) {
    torn_ = false;
  } else {
    Failed(FileError(Path(name_)));
    may_retry_ = false;
  }
  return !torn_;
}

void LogWriter::NoteSynced() {
  certain_ = written_;
  certain_bytes_ = file_bytes_;
  unsynced_ = unsynced_gaps_ = {};
}

absl::Status LogWriter::SyncFile() {
  if (fdatasync(file_) == 0) {
    NoteSynced();
    return absl::OkStatus();
  }
  const absl::Status status = FileError(Path(name_));
  Failed(status);
  // The system may have dropped what it could not write, and not say so again: nothing of it stays.
  AddTo(lost_, unsynced_);
  AddTo(gap_, unsynced_);
  AddTo(gap_, unsynced_gaps_);
  next_ = written_ = certain_;
  file_bytes_ = certain_bytes_;
  unsynced_ = unsynced_gaps_ = {};
  torn_ = true;
  may_retry_ = false;
  return status;
}

absl::Status LogWriter::TellHead() {
  LogHead head{.log = log_, .sequence = written_.sequence, .hash = written_.hash};
  if (const absl::Status status = WriteLogHead(folder_, head); !status.ok()) {
    Failed(status);
    return status;
  }
  synced_ = std::move(head);
  if (options_.head_synced) options_.head_synced(synced_);
  return absl::OkStatus();
}

absl::Status LogWriter::Sync() {
  may_retry_ = true;
  if ((Any(gap_) || file_ < 0 || torn_) && MakeRoom(0)) AppendGap();
  absl::Status status = file_ < 0 || torn_ ? last_error_ : Flush();
  if (status.ok() && written_.sequence != synced_.sequence) {
    status = SyncFile();
    if (status.ok()) status = TellHead();
  }
  may_retry_ = true;  // once for the next records
  return status;
}

void LogWriter::Tick() {
  may_retry_ = true;
  if (file_ >= 0) {
    const absl::Time now = clock_.Now();
    const bool old = next_.segment_records > 1 && now - opened_ >= kSegmentAge;
    const bool due = !kept_.empty() && kept_.front().ended < now - options_.max_age;
    if (!old && !due) return;
    EndSegment(false);
  }
  MakeRoom(0);
}

}  // namespace penstock::router
