#include "common/net/infer_call.h"

namespace penstock {

absl::string_view FindMetadata(const Metadata& metadata, absl::string_view key) {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return {};
}

}  // namespace penstock
