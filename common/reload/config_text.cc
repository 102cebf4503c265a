#include "common/reload/config_text.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/read_file.h"

namespace penstock {
namespace {

constexpr size_t kMostBytes = size_t{16} << 20;

bool HasEndMarker(absl::string_view text) {
  const absl::string_view trimmed = absl::StripTrailingAsciiWhitespace(text);
  return trimmed == "..." || absl::EndsWith(trimmed, "\n...");
}

}  // namespace

absl::StatusOr<std::string> ReadConfigText(const std::string& path) {
  return ReadFile(path, kMostBytes);
}

absl::Status CheckWhole(absl::string_view before, absl::string_view text) {
  if (absl::EndsWith(before, "\n") && !absl::EndsWith(text, "\n")) {
    return absl::InvalidArgumentError(
        "the file seems cut off: it ends without a line feed, and the one before did not");
  }
  if (HasEndMarker(before) && !HasEndMarker(text)) {
    return absl::InvalidArgumentError(
        "the file seems cut off: the one before ended in the line \"...\", and it does not");
  }
  return absl::OkStatus();
}

}  // namespace penstock
