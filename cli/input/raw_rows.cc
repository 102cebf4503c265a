#include "cli/input/raw_rows.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

struct OpenFile {
  ~OpenFile() {
    if (descriptor >= 0) close(descriptor);
  }
  const int descriptor;
};

absl::string_view KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISCHR(mode)) return "a character device";
  if (S_ISBLK(mode)) return "a block device";
  if (S_ISSOCK(mode)) return "a socket";
  return "neither";
}

absl::Status CannotRead(const std::string& path) {
  return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
}

absl::Status TooLarge(absl::string_view what, uint64_t found) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": wanted at most ", kMostRowBytes, " bytes, got ", found));
}

// From where the file stands, `most` bytes or what there is until its end.
absl::StatusOr<std::string> ReadUpTo(int file, const std::string& path, size_t most) {
  constexpr size_t kPart = 64 << 10;
  std::string bytes;
  while (bytes.size() < most) {
    const size_t had = bytes.size();
    bytes.resize(had + std::min(kPart, most - had));
    const ssize_t got = read(file, bytes.data() + had, bytes.size() - had);
    bytes.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return CannotRead(path);
    if (got == 0) break;
  }
  return bytes;
}

absl::Status CheckRows(uint64_t bytes, size_t row_bytes, std::optional<uint64_t> row) {
  if (bytes % row_bytes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("wanted rows of ", row_bytes, " bytes, got ", bytes));
  }
  if (row.has_value() && *row >= bytes / row_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("row ", *row, " of ", bytes / row_bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> FromRegularFile(int file, const std::string& path, uint64_t size,
                                            size_t row_bytes, std::optional<uint64_t> row) {
  PENSTOCK_RETURN_IF_ERROR(CheckRows(size, row_bytes, row));
  const uint64_t wanted = row.has_value() ? row_bytes : size;
  if (wanted > kMostRowBytes) return TooLarge(row.has_value() ? "a row" : path, wanted);
  const uint64_t from = row.value_or(0) * row_bytes;
  if (lseek(file, static_cast<off_t>(from), SEEK_SET) < 0) return CannotRead(path);
  PENSTOCK_ASSIGN_OR_RETURN(std::string bytes, ReadUpTo(file, path, wanted));
  if (bytes.size() < wanted) {
    return absl::InvalidArgumentError(absl::StrCat(path, " was cut while it was read"));
  }
  return bytes;
}

absl::StatusOr<std::string> FromPipe(int file, const std::string& path, size_t row_bytes,
                                     std::optional<uint64_t> row) {
  // One byte more than is allowed tells that there is more.
  PENSTOCK_ASSIGN_OR_RETURN(std::string bytes, ReadUpTo(file, path, kMostRowBytes + 1));
  if (bytes.size() > kMostRowBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": wanted at most ", kMostRowBytes, " bytes of a pipe, got more"));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckRows(bytes.size(), row_bytes, row));
  return row.has_value() ? bytes.substr(*row * row_bytes, row_bytes) : bytes;
}

}  // namespace

absl::StatusOr<std::string> ReadRawRows(const std::string& path, size_t row_bytes,
                                        std::optional<uint64_t> row) {
  const OpenFile opened{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  const int file = opened.descriptor;
  if (file < 0) return CannotRead(path);
  struct stat info = {};
  if (fstat(file, &info) != 0) return CannotRead(path);
  if (S_ISREG(info.st_mode)) {
    return FromRegularFile(file, path, static_cast<uint64_t>(info.st_size), row_bytes, row);
  }
  if (S_ISFIFO(info.st_mode)) return FromPipe(file, path, row_bytes, row);
  return absl::InvalidArgumentError(
      absl::StrCat("wanted a file or a pipe, got ", KindOf(info.st_mode), ", ", path));
}

}  // namespace penstock::cli
