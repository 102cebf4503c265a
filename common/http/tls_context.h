#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "penstock/config/v1/server.pb.h"

extern "C" {
typedef struct ssl_ctx_st SSL_CTX;
}

namespace penstock {

// OpenSSL's context of a server whose files may be replaced while it runs. Not thread-safe.
class TlsContext {
 public:
  // INVALID_ARGUMENT names the field of `tls` that cannot be used.
  static absl::StatusOr<std::unique_ptr<TlsContext>> Create(const config::v1::Tls& tls);

  // For the next connection: of the files as they are, or where those do not fit together (a
  // certificate is replaced before its key), of those that last did.
  SSL_CTX* Current();

 private:
  struct Free {
    void operator()(SSL_CTX* context) const;
  };
  using Context = std::unique_ptr<SSL_CTX, Free>;

  explicit TlsContext(const config::v1::Tls& tls) : tls_(tls) {}
  absl::StatusOr<Context> Load() const;
  // What stands in the files, one after another.
  std::string Contents() const;

  const config::v1::Tls tls_;
  std::string contents_;
  Context context_;
};

}  // namespace penstock
