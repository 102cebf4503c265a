#include "router_service/recording/chain/log_head.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "router_service/recording/chain/segment_file.h"

namespace penstock::router {

std::string FormatLogHead(const LogHead& head) {
  return absl::StrCat("{\"log\":\"", head.log, "\",\"sequence\":\"", head.sequence,
                      "\",\"hash\":\"", HashToHex(head.hash), "\"}\n");
}

absl::StatusOr<LogHead> ParseLogHead(absl::string_view text) {
  LogHead head;
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '"');
  // {"log":"L","sequence":"S","hash":"H"} has these between its quotes; the rest is compared below.
  if (parts.size() != 13 || !IsLogId(parts[3]) || !absl::SimpleAtoi(parts[7], &head.sequence) ||
      !HashFromHex(parts[11], head.hash)) {
    return absl::InvalidArgumentError("wanted {\"log\":...,\"sequence\":...,\"hash\":...}");
  }
  head.log = std::string(parts[3]);
  if (FormatLogHead(head) != text) {
    return absl::InvalidArgumentError("is not as a router writes it");
  }
  return head;
}

absl::Status WriteLogHead(const std::string& folder, const LogHead& head) {
  const std::string path = absl::StrCat(folder, "/", kLogHeadFile);
  const std::string next = absl::StrCat(path, ".next");
  const int file = open(next.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0640);
  if (file < 0) return FileError(next);
  const std::string text = FormatLogHead(head);
  absl::Status status = WriteFully(file, text, next);
  if (status.ok() && fdatasync(file) != 0) status = FileError(next);
  close(file);
  if (status.ok() && std::rename(next.c_str(), path.c_str()) != 0) status = FileError(path);
  return status;
}

absl::StatusOr<std::optional<LogHead>> ReadLogHead(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (errno == ENOENT) return std::optional<LogHead>();
    return FileError(path);
  }
  std::string text(1024, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  auto head = ParseLogHead(text);
  if (!head.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", head.status().message()));
  }
  return std::optional<LogHead>(*std::move(head));
}

}  // namespace penstock::router
