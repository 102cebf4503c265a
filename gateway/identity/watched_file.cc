#include "gateway/identity/watched_file.h"

#include <fstream>

#include "absl/strings/str_cat.h"

namespace penstock::gateway {

std::optional<absl::StatusOr<std::string>> WatchedFile::Changed() {
  absl::StatusOr<std::string> text = Read();
  if (last_.has_value() && last_->ok() == text.ok() &&
      (text.ok() ? **last_ == *text : last_->status() == text.status())) {
    return std::nullopt;
  }
  last_ = text;
  return text;
}

absl::StatusOr<std::string> WatchedFile::Read() const {
  std::ifstream file(path_, std::ios::binary);
  std::string text(kMaxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  // A directory opens, and fails when it is read.
  if (!file.is_open() || file.bad()) return absl::InvalidArgumentError("cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat("wanted at most ", kMaxBytes, " bytes"));
  }
  return text;
}

}  // namespace penstock::gateway
