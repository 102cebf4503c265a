#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace penstock::gateway {

// A key of an identity provider, made when the test runs, and the tokens that it signs.
class SigningKey {
 public:
  // `algorithm` decides the type: RS256, PS256, ES256, ES384, HS256 and so on.
  SigningKey(std::string kid, std::string algorithm, size_t rsa_bits = 2048);
  ~SigningKey();
  SigningKey(SigningKey&&) noexcept;

  // Its public part, as it stands in a JWKS.
  std::string Public() const;
  // All of it, as it must never stand there.
  std::string Private() const;
  // `header`: members beside `alg` and `kid` as JSON, or empty. Empty kid: none is named.
  std::string Sign(absl::string_view claims, absl::string_view header = "") const;
  std::string SignAs(const std::string& kid, const std::string& algorithm, absl::string_view claims,
                     absl::string_view header = "") const;
  // The public key as PEM, as it lies about anywhere.
  std::string PublicPem() const;

 private:
  struct Jwk;

  std::string kid_;
  std::string algorithm_;
  std::unique_ptr<Jwk> jwk_;
};

// A JWKS document of keys.
std::string Jwks(std::initializer_list<std::string> keys);

// A token of any header, payload and signature; none of the three need be right.
std::string RawToken(absl::string_view header, absl::string_view payload,
                     absl::string_view signature);
// One whose HS256 signature is right for `secret`.
std::string HmacToken(absl::string_view kid, absl::string_view payload, absl::string_view secret);

}  // namespace penstock::gateway
