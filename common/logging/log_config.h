#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/logging/log.h"
#include "google/protobuf/message.h"

namespace penstock {

// A service's configuration, and where it stands in the file: "" or "gateway".
struct LogSection {
  absl::string_view name;
  const google::protobuf::Message* config;
};

// What `server.log` says of a process that runs these services: one has a say where the others have
// none, and those that have must say the same. INVALID_ARGUMENT names the field.
absl::StatusOr<LogOptions> ReadLogOptions(const std::vector<LogSection>& sections);

}  // namespace penstock
