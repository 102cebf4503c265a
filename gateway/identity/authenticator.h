#pragma once

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/net/caller_rights.h"
#include "common/net/infer_call.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {

// Who a caller is, and what the gateway lets it do.
struct Principal {
  std::string tenant;
  CallerRights rights;
  uint32_t priority = 5;  // 0 first, 9 last
};

// Tells a principal by its API key. Keys are known by their SHA-256 only. Immutable.
class Authenticator {
 public:
  // INVALID_ARGUMENT names the key's place in the file. No file: everybody is anonymous.
  static absl::StatusOr<std::unique_ptr<Authenticator>> Create(const config::v1::Identity& config);
  static absl::StatusOr<std::unique_ptr<Authenticator>> FromKeys(const config::v1::ApiKeys& keys);

  // `authorization`: the metadata of that name, `Bearer KEY`. UNAUTHENTICATED when keys are
  // configured and it is absent, malformed or unknown.
  absl::StatusOr<Principal> Authenticate(absl::string_view authorization) const;
  // The same from a call's metadata, and whether the caller may see `pool` (empty: none in particular).
  // PERMISSION_DENIED.
  absl::StatusOr<Principal> Admit(const Metadata& metadata, absl::string_view pool) const;

 private:
  Authenticator() = default;

  bool open_ = false;  // no keys: everybody is anonymous
  bool anonymous_admin_ = false;
  absl::flat_hash_map<std::string, Principal> by_sha256_;  // key: 32 bytes
};

}  // namespace penstock::gateway
