#pragma once

#include "absl/strings/string_view.h"

namespace penstock {

// As protobuf checks strings: no overlong forms, no surrogates, at most U+10FFFF.
bool IsUtf8(absl::string_view text);

}  // namespace penstock
