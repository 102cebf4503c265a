#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "yaml-cpp/yaml.h"

namespace penstock::router {

// read(file, root) of the document in `text`; what is no YAML is INVALID_ARGUMENT with file and line.
// yaml-cpp throws, and in this one place it may.
template <typename Read>
auto ParseYaml(absl::string_view file, const std::string& text, Read read)
    -> decltype(read(file, YAML::Node())) {
  try {
    return read(file, YAML::Load(text));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ":", error.mark.line + 1, ": ", error.msg));
  }
}

}  // namespace penstock::router
