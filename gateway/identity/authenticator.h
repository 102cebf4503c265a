#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/time/clock.h"
#include "gateway/identity/api_keys.h"
#include "gateway/identity/principal.h"
#include "gateway/identity/token_verifier.h"
#include "gateway/identity/watched_file.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {

// Tells a principal by its credentials: an API key or a signed token. Thread-safe.
class Authenticator {
 public:
  // What became of the files, for logs and metrics. Must not block.
  class Observer {
   public:
    virtual ~Observer() = default;
    // `file`: "api_keys" or "jwks". A file that is not OK leaves what was read before.
    virtual void CredentialsRead(absl::string_view file, const absl::Status& status) = 0;
  };

  // INVALID_ARGUMENT names the field, or the file and the place in it. Neither keys nor tokens are
  // configured: everybody is anonymous. `clock` and `observer` (null: nobody is told) outlive it.
  static absl::StatusOr<std::unique_ptr<Authenticator>> Create(const config::v1::Identity& config,
                                                               const Clock& clock,
                                                               Observer* observer);
  // Without files.
  static absl::StatusOr<std::unique_ptr<Authenticator>> FromKeys(const config::v1::ApiKeys& keys,
                                                                 const Clock& clock);

  // `authorization`: the metadata of that name, `Bearer KEY-or-TOKEN`. UNAUTHENTICATED when
  // credentials are configured and these are absent, malformed, unknown or do not hold.
  absl::StatusOr<Principal> Authenticate(absl::string_view authorization) const;
  // The same from a call's metadata, and whether the caller may see `pool` (empty: none in
  // particular). PERMISSION_DENIED.
  absl::StatusOr<Principal> Admit(const Metadata& metadata, absl::string_view pool) const;
  static absl::Status CheckPool(const Principal& principal, absl::string_view pool);

  // Reads the files again and takes what changed. Blocks; one call at a time.
  void Reload();
  // Whether there is a file to read again.
  bool has_files() const { return keys_file_.has_value() || jwks_file_.has_value(); }

 private:
  Authenticator(const Clock& clock, Observer* observer) : clock_(clock), observer_(observer) {}
  absl::Status TakeKeys(const config::v1::ApiKeys& keys);
  absl::Status ReadKeysFile(const absl::StatusOr<std::string>& text);
  absl::Status ReadJwksFile(const absl::StatusOr<std::string>& text);

  const Clock& clock_;
  Observer* const observer_;
  bool open_ = false;  // no credentials are configured: everybody is anonymous
  bool anonymous_admin_ = false;
  QuotaNames quotas_;
  std::optional<WatchedFile> keys_file_;
  std::optional<WatchedFile> jwks_file_;
  std::unique_ptr<TokenVerifier> tokens_;  // null: none are taken
  mutable Mutex mutex_;
  std::shared_ptr<const ApiKeys> keys_ ABSL_GUARDED_BY(mutex_);  // null: there are none
};

}  // namespace penstock::gateway
