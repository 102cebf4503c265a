#pragma once

#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gateway/identity/principal.h"
#include "gateway/identity/quota_names.h"
#include "gateway/identity/credential_digest.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {

// The keys of the API keys' file, known by their SHA-256 only. Immutable.
class ApiKeys {
 public:
  // INVALID_ARGUMENT names the key's place in the file.
  static absl::StatusOr<std::unique_ptr<const ApiKeys>> Create(const config::v1::ApiKeys& config,
                                                               const QuotaNames& quotas);

  // Whose key it is. UNAUTHENTICATED: it is unknown or past its not_after.
  absl::StatusOr<Principal> Find(absl::string_view key, absl::Time now) const;
  size_t size() const { return by_digest_.size(); }

 private:
  struct Entry {
    Principal principal;
    absl::Time not_after = absl::InfiniteFuture();
  };

  ApiKeys() = default;

  absl::flat_hash_map<Sha256Digest, Entry, Sha256DigestHash, Sha256DigestEqual> by_digest_;
};

}  // namespace penstock::gateway
