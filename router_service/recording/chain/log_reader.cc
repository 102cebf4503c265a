#include "router_service/recording/chain/log_reader.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<LogReader>> LogReader::Open(std::string folder) {
  auto reader = std::unique_ptr<LogReader>(new LogReader(std::move(folder)));
  PENSTOCK_RETURN_IF_ERROR(reader->List());
  if (reader->ahead_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(reader->folder_, ": wanted a decision log's directory, got no ",
                     SegmentName(1), " or later one in it"));
  }
  return reader;
}

std::string LogReader::where() const { return absl::StrCat(folder_, "/", name_, ":", number_); }

absl::Status LogReader::List() {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<SegmentFile> all, ListSegments(folder_));
  ahead_.clear();
  for (const SegmentFile& segment : all) {
    if (segments_ == 0 || segment.sequence > opened_) ahead_.push_back(segment);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> LogReader::OpenNext() {
  for (;;) {
    if (ahead_.empty()) PENSTOCK_RETURN_IF_ERROR(List());
    if (ahead_.empty()) return false;
    const SegmentFile next = ahead_.front();
    ahead_.pop_front();
    auto lines = SegmentLines::Open(absl::StrCat(folder_, "/", next.name));
    // Retention may have taken the oldest ones meanwhile.
    if (absl::IsNotFound(lines.status()) && segments_ == 0) continue;
    name_ = next.name;
    number_ = taken_bytes_ = 0;
    opened_ = next.sequence;
    ++segments_;
    chain_.BeginSegment(next.sequence);
    if (!lines.ok()) return Break(lines.status().message());
    lines_ = *std::move(lines);
    return true;
  }
}

absl::Status LogReader::Break(absl::string_view what) {
  chain_.Broken();
  lines_ = nullptr;
  line_ = {};
  return absl::DataLossError(absl::StrCat(where(), ": ", what));
}

absl::StatusOr<bool> LogReader::Next(Record& record) {
  bool final = false;  // nobody writes to this segment any more
  for (;;) {
    if (lines_ == nullptr) {
      PENSTOCK_ASSIGN_OR_RETURN(const bool more, OpenNext());
      if (!more) return false;
      final = false;
    }
    PENSTOCK_ASSIGN_OR_RETURN(const SegmentLines::Got got, lines_->Next(line_));
    if (got == SegmentLines::Got::kLine) {
      ++number_;
      auto taken = chain_.Take(line_);
      if (!taken.ok()) return Break(taken.status().message());
      record = *taken;
      taken_bytes_ = lines_->bytes();
      return true;
    }
    if (got == SegmentLines::Got::kTooLong) {
      ++number_;
      return Break(absl::StrCat("is longer than ", kLongestRecordLine, " bytes"));
    }
    if (!final) {
      // A segment is complete once there is a later one; what it got before that is read first.
      if (ahead_.empty()) PENSTOCK_RETURN_IF_ERROR(List());
      if (ahead_.empty()) return false;
      final = true;
      continue;
    }
    if (lines_->unfinished() > 0) {
      ++number_;
      return Break(absl::StrCat("ends after ", lines_->unfinished(), " bytes, within a record"));
    }
    if (number_ == 0) return Break("is empty");
    lines_ = nullptr;
  }
}

bool IsLogFolder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

}  // namespace penstock::router
