#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "common/net/caller_rights.h"

namespace penstock::gateway {

inline constexpr uint32_t kDefaultPriority = 5;
inline constexpr uint32_t kLowestPriority = 9;
// The quota of those whose credentials name none.
inline constexpr char kDefaultQuota[] = "default";

// Longest `penstock-rights`: it travels with each request, and the router bounds a call's metadata.
inline constexpr size_t kMaxRightsBytes = 8192;

// Who a caller is, and what the gateway lets it do.
struct Principal {
  std::string tenant;
  CallerRights rights;
  uint32_t priority = kDefaultPriority;  // 0 first, 9 last
  std::string quota;                     // a name of `identity.quotas`; empty: no limit
  std::string credential;                // which key or whose token, for the audit; no secret
};

// Names travel in metadata, where gRPC takes printable ASCII only; a comma would start another
// right.
inline bool CanTravel(absl::string_view name) {
  for (const char c : name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c)) || c == ',') return false;
  }
  return !name.empty();
}

}  // namespace penstock::gateway
