#include "gateway/identity/watched_file.h"

#include "common/read_file.h"

namespace penstock::gateway {

std::optional<absl::StatusOr<std::string>> WatchedFile::Changed() {
  absl::StatusOr<std::string> text = ReadFile(path_, kMaxBytes);
  if (last_.has_value() && last_->ok() == text.ok() &&
      (text.ok() ? **last_ == *text : last_->status() == text.status())) {
    return std::nullopt;
  }
  last_ = text;
  return text;
}

}  // namespace penstock::gateway
