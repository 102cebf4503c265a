#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace penstock {

// Reads YAML into a protobuf message, which is cleared first. Strict: an unknown key, a wrong type,
// a number out of its type's range, a repeated key or two fields of one oneof are INVALID_ARGUMENT
// with the path, for example
//   router.pools[0].experts[1].nmae: unknown field; did you mean name? (line 12)
// Keys are the proto's field names, enums go by name in any case, durations are written `0.25s`,
// `250ms`, `1m30s` and are never negative, lists are lists even of one. A key without a value is an
// empty message, list or map; of a scalar it is an error. On errors the message holds a part.
absl::Status ReadYaml(absl::string_view text, google::protobuf::Message& message);
// The same from a file; errors start with its name.
absl::Status ReadYamlFile(const std::string& path, google::protobuf::Message& message);

}  // namespace penstock
