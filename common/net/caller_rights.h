#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock {

// What a caller may do, as it travels in the metadata `penstock-rights` between trusted hops:
// comma-separated `forced_experts`, `admin`, and `pool=NAME` for each pool (none: all pools).
struct CallerRights {
  std::vector<std::string> pools;  // empty: all
  bool forced_experts = false;
  bool admin = false;

  bool MayCall(absl::string_view pool) const;
  std::string ToMetadata() const;
  // Words that it does not know grant nothing.
  static CallerRights FromMetadata(absl::string_view text);
};

inline constexpr char kTenantMetadata[] = "penstock-tenant";
inline constexpr char kRightsMetadata[] = "penstock-rights";
inline constexpr char kPriorityMetadata[] = "penstock-priority";
// With calls of penstock.v1.Routing: which key or whose token, for the audit.
inline constexpr char kCredentialMetadata[] = "penstock-credential";
inline constexpr char kRequestIdMetadata[] = "penstock-request-id";
inline constexpr char kTraceparentMetadata[] = "traceparent";
inline constexpr char kRetryAfterMetadata[] = "retry-after-ms";
inline constexpr char kRetryPushbackMetadata[] = "grpc-retry-pushback-ms";
// Trailer of a router's answer: CachePolicy.version of what made it.
inline constexpr char kAnswerVersionMetadata[] = "penstock-answer-version";
inline constexpr char kAnonymousTenant[] = "anonymous";

}  // namespace penstock
