#include "common/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

constexpr size_t kPart = 64 << 10;

std::string CannotBeRead(const std::string& path) {
  return absl::StrCat(path, ": cannot be read: ", std::strerror(errno));
}

// "more" where a file has no size of its own.
std::string SizeOf(int file) {
  struct stat info = {};
  return fstat(file, &info) == 0 && S_ISREG(info.st_mode) ? absl::StrCat(info.st_size) : "more";
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t most) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return absl::NotFoundError(CannotBeRead(path));
  std::string text;
  absl::Status status;
  for (;;) {
    const size_t had = text.size();
    // One byte more than is allowed tells that there is more.
    text.resize(had + std::min(kPart, most + 1 - had));
    const ssize_t got = read(file, text.data() + had, text.size() - had);
    text.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = absl::UnavailableError(CannotBeRead(path));
    if (text.size() > most) {
      status = absl::InvalidArgumentError(
          absl::StrCat(path, ": wanted at most ", most, " bytes, found ", SizeOf(file)));
    }
    if (got <= 0 || !status.ok()) break;
  }
  close(file);
  if (!status.ok()) return status;
  return text;
}

}  // namespace penstock
