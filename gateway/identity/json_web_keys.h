#pragma once

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock::gateway {

// The public keys that an identity provider signs with: a JSON Web Key Set (RFC 7517). Immutable.
class JsonWebKeys {
 public:
  // INVALID_ARGUMENT names the key. Keys that no token of ours can be signed with are passed over
  // (of another type or curve, for encryption, without a `kid`), since providers publish such; but
  // one must remain. A private key is an error: it has no business here.
  static absl::StatusOr<std::unique_ptr<const JsonWebKeys>> Parse(absl::string_view text);
  ~JsonWebKeys();

  // The payload of a token in JWS's compact form (RFC 7515) that one of the keys signed. The key is
  // the one of the token's `kid`; what it is decides which algorithms it takes. UNAUTHENTICATED
  // says what is wrong, and nothing of what came.
  absl::StatusOr<std::string> Verify(absl::string_view token) const;

  size_t size() const { return by_kid_.size(); }

 private:
  struct Key;

  JsonWebKeys();

  absl::flat_hash_map<std::string, std::unique_ptr<const Key>> by_kid_;
};

}  // namespace penstock::gateway
