#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "router_service/recording/chain/record_hash.h"

namespace penstock::router {

// The last record that is on the disk for certain. Kept beside the segments, and wherever else it
// is safer: a log that ends before it was cut.
struct LogHead {
  std::string log;  // as v1.SegmentHeader
  uint64_t sequence = 0;
  RecordHash hash{};

  friend bool operator==(const LogHead&, const LogHead&) = default;
};

// One line of JSON.
std::string FormatLogHead(const LogHead& head);
// INVALID_ARGUMENT for anything else than FormatLogHead writes.
absl::StatusOr<LogHead> ParseLogHead(absl::string_view text);

// The file's name in a log's folder.
inline constexpr char kLogHeadFile[] = "head";
// In one step: readers see the head before or this one. Until the folder is synced the one before
// may come back when the machine loses its power.
absl::Status WriteLogHead(const std::string& folder, const LogHead& head);
// Nothing: there is no such file.
absl::StatusOr<std::optional<LogHead>> ReadLogHead(const std::string& path);

}  // namespace penstock::router
