#include "tests/gateway/identity/test_tokens.h"

#include <cjose/cjose.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

using Json = nlohmann::json;

std::string Base64Url(absl::string_view bytes) {
  std::string text;
  absl::WebSafeBase64Escape(bytes, &text);
  while (!text.empty() && text.back() == '=') text.pop_back();
  return text;
}

cjose_jwk_t* MakeJwk(const std::string& algorithm, size_t rsa_bits) {
  cjose_err error{};
  if (algorithm == "ES256") return cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &error);
  if (algorithm == "ES384") return cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_384, &error);
  if (algorithm == "ES512") return cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_521, &error);
  if (absl::StartsWith(algorithm, "HS")) return cjose_jwk_create_oct_random(256, &error);
  return cjose_jwk_create_RSA_random(rsa_bits, nullptr, 0, &error);
}

}  // namespace

struct SigningKey::Jwk {
  ~Jwk() { cjose_jwk_release(key); }
  cjose_jwk_t* key = nullptr;
};

SigningKey::SigningKey(std::string kid, std::string algorithm, size_t rsa_bits)
    : kid_(std::move(kid)), algorithm_(std::move(algorithm)), jwk_(std::make_unique<Jwk>()) {
  jwk_->key = MakeJwk(algorithm_, rsa_bits);
  EXPECT_NE(jwk_->key, nullptr);
}
SigningKey::~SigningKey() = default;
SigningKey::SigningKey(SigningKey&&) noexcept = default;

std::string SigningKey::Public() const {
  cjose_err error{};
  const std::unique_ptr<char, decltype(&std::free)> text(
      cjose_jwk_to_json(jwk_->key, /*priv=*/false, &error), &std::free);
  Json json = Json::parse(text.get());
  json["kid"] = kid_;
  json["alg"] = algorithm_;
  json["use"] = "sig";
  return json.dump();
}

std::string SigningKey::Private() const {
  cjose_err error{};
  const std::unique_ptr<char, decltype(&std::free)> text(
      cjose_jwk_to_json(jwk_->key, /*priv=*/true, &error), &std::free);
  Json json = Json::parse(text.get());
  json["kid"] = kid_;
  return json.dump();
}

std::string SigningKey::Sign(absl::string_view claims, absl::string_view header) const {
  return SignAs(kid_, algorithm_, claims, header);
}

std::string SigningKey::SignAs(const std::string& kid, const std::string& algorithm,
                               absl::string_view claims, absl::string_view header) const {
  cjose_err error{};
  cjose_header_t* const fields = cjose_header_new(&error);
  cjose_header_set(fields, CJOSE_HDR_ALG, algorithm.c_str(), &error);
  if (!kid.empty()) cjose_header_set(fields, CJOSE_HDR_KID, kid.c_str(), &error);
  if (!header.empty()) {
    const Json extra = Json::parse(header);
    for (const auto& [name, value] : extra.items()) {
      EXPECT_TRUE(cjose_header_set_raw(fields, name.c_str(), value.dump().c_str(), &error)) << name;
    }
  }
  cjose_jws_t* const jws = cjose_jws_sign(
      jwk_->key, fields, reinterpret_cast<const uint8_t*>(claims.data()), claims.size(), &error);
  EXPECT_NE(jws, nullptr) << error.message;
  const char* text = nullptr;
  EXPECT_TRUE(cjose_jws_export(jws, &text, &error));
  const std::string token = text == nullptr ? "" : text;
  cjose_jws_release(jws);
  cjose_header_release(fields);
  return token;
}

std::string SigningKey::PublicPem() const {
  const Json json = Json::parse(Public());
  const auto number = [&json](const char* name) {
    std::string bytes;
    absl::WebSafeBase64Unescape(json.at(name).get<std::string>(), &bytes);
    return BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                     static_cast<int>(bytes.size()), nullptr);
  };
  BIGNUM* const modulus = number("n");
  BIGNUM* const exponent = number("e");
  OSSL_PARAM_BLD* const builder = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent);
  OSSL_PARAM* const params = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY_CTX* const context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  EVP_PKEY* key = nullptr;
  EXPECT_EQ(EVP_PKEY_fromdata_init(context), 1);
  EXPECT_EQ(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
  BIO* const bio = BIO_new(BIO_s_mem());
  EXPECT_EQ(PEM_write_bio_PUBKEY(bio, key), 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  const std::string pem(text, static_cast<size_t>(size));
  BIO_free(bio);
  EVP_PKEY_free(key);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(builder);
  BN_free(modulus);
  BN_free(exponent);
  return pem;
}

std::string Jwks(std::initializer_list<std::string> keys) {
  return absl::StrCat("{\"keys\":[", absl::StrJoin(keys, ","), "]}");
}

std::string RawToken(absl::string_view header, absl::string_view payload,
                     absl::string_view signature) {
  return absl::StrCat(Base64Url(header), ".", Base64Url(payload), ".", Base64Url(signature));
}

std::string HmacToken(absl::string_view kid, absl::string_view payload, absl::string_view secret) {
  const std::string header = absl::StrCat(R"({"alg":"HS256","kid":")", kid, "\"}");
  const std::string signed_part = absl::StrCat(Base64Url(header), ".", Base64Url(payload));
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(signed_part.data()), signed_part.size(), mac, &size);
  return RawToken(header, payload, absl::string_view(reinterpret_cast<const char*>(mac), size));
}

}  // namespace penstock::gateway
