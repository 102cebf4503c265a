#include "gateway/identity/json_web_keys.h"

#include <openssl/err.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/gateway/identity/test_tokens.h"

namespace penstock::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPayload[] = R"({"sub":"somebody"})";

// RSA keys take a while to find: one for all tests.
const SigningKey& Rsa() {
  static const SigningKey key("rsa", "RS256");
  return key;
}
const SigningKey& Ec() {
  static const SigningKey key("ec", "ES256");
  return key;
}

std::unique_ptr<const JsonWebKeys> Keys(std::initializer_list<std::string> keys) {
  auto parsed = JsonWebKeys::Parse(Jwks(keys));
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *std::move(parsed);
}

std::string WithoutAlgorithm(std::string jwk, absl::string_view algorithm) {
  return absl::StrReplaceAll(jwk, {{absl::StrCat("\"alg\":\"", algorithm, "\","), ""}});
}

void ExpectRefused(const JsonWebKeys& keys, const std::string& token, const std::string& why) {
  const auto payload = keys.Verify(token);
  ASSERT_TRUE(absl::IsUnauthenticated(payload.status())) << token << " " << payload.status();
  EXPECT_THAT(std::string(payload.status().message()), HasSubstr(why)) << token;
}

TEST(JsonWebKeysTest, VerifiesEveryAlgorithmThatItNames) {
  for (const char* algorithm : {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}) {
    const auto keys = Keys({WithoutAlgorithm(Rsa().Public(), "RS256")});
    const auto payload = keys->Verify(Rsa().SignAs("rsa", algorithm, kPayload));
    ASSERT_TRUE(payload.ok()) << algorithm << " " << payload.status();
    EXPECT_EQ(*payload, kPayload);
  }
  for (const char* algorithm : {"ES256", "ES384", "ES512"}) {
    const SigningKey key("k", algorithm);
    EXPECT_TRUE(Keys({key.Public()})->Verify(key.Sign(kPayload)).ok()) << algorithm;
  }
}

TEST(JsonWebKeysTest, TakesTheKeyThatTheTokenNames) {
  const SigningKey other("other", "ES256");
  const auto keys = Keys({Ec().Public(), other.Public()});
  EXPECT_TRUE(keys->Verify(other.Sign(kPayload)).ok());
  ExpectRefused(*keys, other.SignAs("ec", "ES256", kPayload), "the signature does not verify");
  ExpectRefused(*keys, other.SignAs("third", "ES256", kPayload), "kid: unknown key");
  ExpectRefused(*keys, other.SignAs("", "ES256", kPayload), "kid: wanted");
}

TEST(JsonWebKeysTest, RefusesAnAlgorithmThatTheKeyIsNotFor) {
  // The key says RS256.
  ExpectRefused(*Keys({Rsa().Public()}), Rsa().SignAs("rsa", "PS256", kPayload),
                "alg: does not fit the key");
  // The key says nothing; its curve does.
  const SigningKey wide("wide", "ES384");
  const auto keys = Keys({WithoutAlgorithm(wide.Public(), "ES384")});
  ExpectRefused(*keys, RawToken(R"({"alg":"ES256","kid":"wide"})", kPayload, "signature"),
                "alg: does not fit the key");
  ExpectRefused(*keys, RawToken(R"({"alg":"RS256","kid":"wide"})", kPayload, "signature"),
                "alg: does not fit the key");
}

TEST(JsonWebKeysTest, RefusesTokensWithoutASignature) {
  const auto keys = Keys({Rsa().Public()});
  for (const char* none : {"none", "None", "NONE", ""}) {
    const std::string header = absl::StrCat(R"({"alg":")", none, R"(","kid":"rsa"})");
    ExpectRefused(*keys, RawToken(header, kPayload, ""), "token: wanted");
    ExpectRefused(*keys, RawToken(header, kPayload, "x"), "alg");
  }
  ExpectRefused(*keys, RawToken(R"({"kid":"rsa"})", kPayload, "x"), "alg");
}

TEST(JsonWebKeysTest, ThePublicKeyIsNoSharedSecret) {
  const auto keys = Keys({WithoutAlgorithm(Rsa().Public(), "RS256")});
  for (const std::string& secret : {Rsa().PublicPem(), Rsa().Public(), std::string()}) {
    ExpectRefused(*keys, HmacToken("rsa", kPayload, secret), "alg");
  }
}

TEST(JsonWebKeysTest, RefusesExtensionsAndIgnoresKeysThatATokenBrings) {
  const auto keys = Keys({Ec().Public()});
  ExpectRefused(*keys, Ec().Sign(kPayload, R"({"crit":["exp"]})"), "crit");
  ExpectRefused(*keys, Ec().Sign(kPayload, R"({"crit":[]})"), "crit");
  const SigningKey stranger("ec", "ES256");
  ExpectRefused(*keys, stranger.Sign(kPayload, absl::StrCat("{\"jwk\":", stranger.Public(), "}")),
                "the signature does not verify");
}

TEST(JsonWebKeysTest, RefusesWhatIsNoToken) {
  const auto keys = Keys({Ec().Public()});
  const std::string good = Ec().Sign(kPayload);
  for (const std::string& garbage :
       {std::string(), std::string("."), std::string(".."), std::string("..."), std::string("a.b"),
        std::string("a.b.c"), good + ".", good + "\n", "." + good, good.substr(0, good.rfind('.')),
        good.substr(0, good.rfind('.') + 1), std::string(300, '.'), std::string(3000, 'A'),
        good + "=", RawToken("{", kPayload, "x"), RawToken("[]", kPayload, "x"),
        RawToken("\xff", kPayload, "x"), RawToken(R"({"alg":5,"kid":"ec"})", kPayload, "x"),
        RawToken(R"({"alg":"ES256","kid":5})", kPayload, "x")}) {
    ExpectRefused(*keys, garbage, "token: ");
  }
}

TEST(JsonWebKeysTest, RefusesATokenWhenAnyOfItsBytesIsAnother) {
  const auto keys = Keys({Ec().Public()});
  const std::string good = Ec().Sign(kPayload);
  ASSERT_TRUE(keys->Verify(good).ok());
  // The last character of each part may hold bits that no byte takes.
  for (size_t i = 0; i < good.size(); ++i) {
    if (good[i] == '.' || i + 1 == good.size() || good[i + 1] == '.') continue;
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(keys->Verify(bad).ok()) << i;
  }
}

TEST(JsonWebKeysTest, MessagesRepeatNothingOfTheToken) {
  const auto keys = Keys({Ec().Public()});
  const auto status =
      keys->Verify(Ec().SignAs("secret-kid", "ES256", R"({"sub":"secret-subject"})")).status();
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
}

TEST(JsonWebKeysTest, LeavesNoErrorForWhoeverCallsOpenSslNext) {
  const auto keys = Keys({Rsa().Public(), Ec().Public()});
  ExpectRefused(*keys, RawToken(R"({"alg":"RS256","kid":"rsa"})", kPayload, "x"), "signature");
  ExpectRefused(*keys, RawToken(R"({"alg":"ES256","kid":"ec"})", kPayload, "x"), "signature");
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(JsonWebKeysTest, PassesOverKeysThatSignNoTokensOfOurs) {
  const SigningKey secret("hmac", "HS256");
  const auto keys = Keys({
      secret.Public(),
      R"({"kty":"OKP","crv":"Ed25519","kid":"ed","x":"AAAA"})",
      R"({"kty":"EC","crv":"secp256k1","kid":"k1","x":"AA","y":"AA"})",
      absl::StrReplaceAll(Rsa().Public(), {{R"("use":"sig")", R"("use":"enc")"}}),
      absl::StrReplaceAll(Rsa().Public(), {{R"("alg":"RS256")", R"("alg":"RSA-OAEP")"}}),
      Ec().Public(),
  });
  EXPECT_EQ(keys->size(), 1u);
  ExpectRefused(*keys, secret.Sign(kPayload), "alg");
}

TEST(JsonWebKeysTest, RefusesSetsThatCannotBeMeant) {
  const auto refused = [](const std::string& text) {
    return std::string(JsonWebKeys::Parse(text).status().message());
  };
  EXPECT_THAT(refused(""), HasSubstr("wanted a JSON object"));
  EXPECT_THAT(refused("{\"keys\":7}"), HasSubstr("wanted a JSON object"));
  EXPECT_THAT(refused(Jwks({"7"})), HasSubstr("keys[0]: wanted an object"));
  EXPECT_THAT(refused(Jwks({})), HasSubstr("keys: none"));
  EXPECT_THAT(refused(Jwks({Ec().Public(), R"({"kty":7})"})), HasSubstr("keys[1].kty"));
  EXPECT_THAT(refused(Jwks({Ec().Private()})), HasSubstr("keys[0]: is a private key"));
  EXPECT_THAT(refused(Jwks({Ec().Public(), Ec().Public()})), HasSubstr("stands there twice"));
  EXPECT_THAT(refused(Jwks({R"({"kty":"RSA","kid":"k","n":"AQ"})"})),
              HasSubstr("keys[0]: no RSA public key"));
  EXPECT_THAT(refused(Jwks({SigningKey("short", "RS256", 1024).Public()})),
              HasSubstr("keys[0]: wanted at least 2048 bits, got 1024"));
  const std::string whole = Jwks({Ec().Public()});
  EXPECT_FALSE(JsonWebKeys::Parse(whole.substr(0, whole.size() / 2)).ok());
}

TEST(JsonWebKeysTest, VerifiesOnManyThreadsAtOnce) {
  const auto keys = Keys({Rsa().Public(), Ec().Public()});
  const std::string tokens[] = {Rsa().Sign(kPayload), Ec().Sign(kPayload)};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&keys, &tokens, i] {
      for (int n = 0; n < 100; ++n) EXPECT_TRUE(keys->Verify(tokens[(i + n) % 2]).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace penstock::gateway
