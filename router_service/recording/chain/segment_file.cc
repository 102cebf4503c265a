#include "router_service/recording/chain/segment_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "router_service/recording/chain/record_line.h"

namespace penstock::router {
namespace {

constexpr size_t kRead = size_t{256} << 10;

}  // namespace

std::string SegmentName(uint64_t sequence) {
  return absl::StrFormat("segment-%020d.jsonl", sequence);
}

absl::StatusOr<std::vector<SegmentFile>> ListSegments(const std::string& folder) {
  std::vector<SegmentFile> segments;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    SegmentFile segment;
    segment.name = entry->path().filename().string();
    absl::string_view digits = segment.name;
    if (!absl::ConsumePrefix(&digits, "segment-") || !absl::ConsumeSuffix(&digits, ".jsonl") ||
        !absl::SimpleAtoi(digits, &segment.sequence) ||
        segment.name != SegmentName(segment.sequence)) {
      continue;
    }
    segments.push_back(std::move(segment));
  }
  if (error) {
    return error == std::errc::no_such_file_or_directory
               ? absl::NotFoundError(absl::StrCat(folder, ": no such folder"))
               : absl::FailedPreconditionError(absl::StrCat(folder, ": ", error.message()));
  }
  std::sort(segments.begin(), segments.end(), [](const SegmentFile& a, const SegmentFile& b) {
    return a.sequence < b.sequence;
  });
  return segments;
}

bool IsLogId(absl::string_view text) {
  return text.size() == 16 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

absl::Status FileError(const std::string& path) {
  const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
  switch (errno) {
    case ENOENT:
      return absl::NotFoundError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::FailedPreconditionError(message);
  }
}

absl::Status WriteFully(int file, absl::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return FileError(path);
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncPath(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FileError(path);
  const absl::Status status = fsync(file) == 0 ? absl::OkStatus() : FileError(path);
  close(file);
  return status;
}

absl::StatusOr<std::unique_ptr<SegmentLines>> SegmentLines::Open(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FileError(path);
  return std::unique_ptr<SegmentLines>(new SegmentLines(path, file));
}

SegmentLines::~SegmentLines() { close(file_); }

absl::StatusOr<SegmentLines::Got> SegmentLines::Next(absl::string_view& line) {
  for (;;) {
    const size_t end = buffer_.find('\n', scanned_);
    if (end != std::string::npos) {
      line = absl::string_view(buffer_).substr(at_, end - at_);
      bytes_ += line.size() + 1;
      at_ = scanned_ = end + 1;
      return Got::kLine;
    }
    if (unfinished() >= kLongestRecordLine) return Got::kTooLong;
    buffer_.erase(0, at_);
    at_ = 0;
    scanned_ = buffer_.size();
    buffer_.resize(scanned_ + kRead);
    ssize_t got = 0;
    do {
      got = read(file_, buffer_.data() + scanned_, kRead);
    } while (got < 0 && errno == EINTR);
    buffer_.resize(scanned_ + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) return FileError(path_);
    if (got == 0) return Got::kEnd;
  }
}

}  // namespace penstock::router
