#pragma once

#include <string>

#include "common/net/caller_rights.h"
#include "common/net/infer_call.h"

namespace penstock::router {

// Who asks, as far as the caller is believed.
struct CallerIdentity {
  std::string tenant = kAnonymousTenant;
  CallerRights rights;
};

inline CallerIdentity IdentifyCaller(const Metadata& metadata, const Caller& caller) {
  CallerIdentity identity;
  if (!caller.trusted) return identity;
  const absl::string_view tenant = FindMetadata(metadata, kTenantMetadata);
  if (!tenant.empty()) identity.tenant = std::string(tenant);
  identity.rights = CallerRights::FromMetadata(FindMetadata(metadata, kRightsMetadata));
  return identity;
}

}  // namespace penstock::router
