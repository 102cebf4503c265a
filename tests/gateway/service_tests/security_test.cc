#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>
#include <prometheus/text_serializer.h>

#include <future>
#include <set>
#include <string>
#include <vector>

#include "tests/gateway/service_tests/security_fixture.h"

namespace penstock::gateway {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr char kReflection[] = "grpc.reflection.v1alpha.ServerReflection";
// Whether the gateway lives and serves, for probes that have no credentials, and how it is spoken
// to.
const std::set<std::string> kOpen = {
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};

// The values of one field of a serialized message.
std::vector<std::string> Field(const std::string& message, int number) {
  google::protobuf::UnknownFieldSet fields;
  EXPECT_TRUE(fields.ParseFromString(message));
  std::vector<std::string> values;
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() == number) values.push_back(fields.field(i).length_delimited());
  }
  return values;
}

class EveryRpcTest : public SecurityTest {
 protected:
  // "/package.Service/Method" of all services of the server, by its own word.
  std::vector<std::string> Methods() {
    // ServerReflectionRequest.list_services = 7; the answer's list_services_response = 6.
    const Outcome listed =
        Call(absl::StrCat("/", kReflection, "/ServerReflectionInfo"), {}, std::string("\x3a\0", 2));
    EXPECT_EQ(listed.messages.size(), 1u) << listed.status.error_message();
    std::vector<std::string> methods;
    for (const std::string& response : Field(listed.messages.at(0), 6)) {
      for (const std::string& service : Field(response, 1)) {
        const std::string name = Field(service, 1).at(0);
        const auto* descriptor =
            google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
        if (descriptor == nullptr) {
          EXPECT_EQ(name, kReflection) << "its methods are not known here";
          continue;
        }
        for (int i = 0; i < descriptor->method_count(); ++i) {
          methods.push_back(absl::StrCat("/", name, "/", descriptor->method(i)->name()));
        }
      }
    }
    return methods;
  }
};

TEST_F(EveryRpcTest, NothingIsServedWithoutCredentialsOrWithWrongOnes) {
  Serve();
  const std::string expired = issuer_key_.Sign(Claims(R"("exp":1000000)"));
  const std::string basic = "Basic YWJjOmFiYw==";
  const std::vector<Metadata> credentials = {
      {},
      Bearer("wrong"),
      Bearer(expired),
      {{"authorization", basic}},
      {{"penstock-tenant", "keyed"}, {"penstock-rights", "admin"}},
  };
  std::vector<std::string> refused;
  for (const std::string& method : Methods()) {
    if (kOpen.count(method) > 0) continue;
    const Outcome known = Call(method, Bearer("abc"));
    EXPECT_NE(known.status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << method;
    const size_t before = router_.seen().size();
    for (const Metadata& wrong : credentials) {
      const Outcome outcome = Call(method, wrong);
      if (method == "/inference.GRPCInferenceService/ModelStreamInfer") {
        // The stream's errors stand in its messages.
        ASSERT_EQ(outcome.messages.size(), 1u);
        inference::ModelStreamInferResponse response;
        ASSERT_TRUE(response.ParseFromString(outcome.messages[0]));
        EXPECT_THAT(response.error_message(), StartsWith("UNAUTHENTICATED: "));
        EXPECT_THAT(response.infer_response().outputs(), IsEmpty());
        continue;
      }
      EXPECT_THAT(outcome.messages, IsEmpty()) << method;
      // What is not there cannot be served to anybody.
      if (outcome.status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
        EXPECT_EQ(known.status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << method;
        continue;
      }
      EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::UNAUTHENTICATED)
          << method << ": " << outcome.status.error_message();
      refused.push_back(method);
    }
    EXPECT_EQ(router_.seen().size(), before) << method;
  }
  EXPECT_THAT(
      refused,
      IsSupersetOf({"/inference.GRPCInferenceService/ModelInfer",
                    "/inference.GRPCInferenceService/ServerMetadata",
                    "/inference.GRPCInferenceService/ModelReady",
                    "/inference.GRPCInferenceService/ModelMetadata",
                    "/inference.GRPCInferenceService/ModelConfig",
                    "/inference.GRPCInferenceService/ModelStatistics",
                    "/inference.GRPCInferenceService/RepositoryIndex",
                    "/penstock.v1.Routing/Explain", "/penstock.v1.Routing/Report",
                    "/penstock.v1.Routing/ListPools", "/penstock.v1.Routing/ListExperts",
                    "/penstock.v1.Routing/GetBudget", "/penstock.v1.Routing/SetBudget",
                    "/penstock.v1.Routing/GetUsage",
                    "/penstock.v1.Routing/GetPlan", "/penstock.v1.Routing/GetShadow",
                    "/penstock.v1.Routing/Promote", "/penstock.v1.Routing/WatchDecisions"}));
}

TEST_F(SecurityTest, ATokenThatDoesNotHoldIsRefusedWithItsReasonAndNothingElse) {
  Serve();
  const SigningKey stranger("current", "ES256");
  const SigningKey unknown("secret-kid", "ES256");
  const SigningKey rsa("rsa", "RS256");
  const std::string header = R"({"alg":"none","kid":"current"})";
  const struct {
    std::string token;
    const char* why;
  } kBad[] = {
      {Token(R"("exp":1000000)"), "token: exp:"},
      {Token(R"("nbf":4000000000)"), "token: nbf:"},
      {Token(R"("iat":4000000000)"), "token: iat:"},
      {Token(R"("iss":"secret-issuer")"), "token: iss:"},
      {Token(R"("aud":["secret-audience"])"), "token: aud:"},
      {Token(R"("sub":"secret,admin")"), "token: sub:"},
      {Token(R"("pools":[])"), "token: pools:"},
      {stranger.Sign(Claims()), "token: the signature"},
      {unknown.Sign(Claims()), "token: kid:"},
      {RawToken(header, Claims(), "secret"), "alg"},
      {RawToken(header, Claims(), ""), "token: "},
      {HmacToken("current", Claims(), issuer_key_.Public()), "alg"},
      {rsa.SignAs("current", "RS256", Claims()), "token: alg:"},
      {Token(absl::StrCat(R"("secret":")", std::string(8192, 'x'), "\"")), "token: wanted at most"},
      {"secret.secret.secret", "token: "},
      {std::string(100, '.'), "unknown key"},
  };
  for (const auto& bad : kBad) {
    const Outcome outcome = Infer(Bearer(bad.token));
    EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << bad.token;
    EXPECT_THAT(outcome.status.error_message(), HasSubstr(bad.why));
    EXPECT_THAT(outcome.status.error_message(), Not(HasSubstr("secret")));
    EXPECT_THAT(outcome.messages, IsEmpty());
  }
  EXPECT_THAT(router_.seen(), IsEmpty());
}

// The classic: whoever knows the public key signs with it as a shared secret.
TEST_F(SecurityTest, ThePublicRsaKeyIsNoSharedSecret) {
  const SigningKey rsa("rsa", "RS256");
  dir_.Write("jwks.json", Jwks({rsa.Public()}));
  Serve();
  EXPECT_TRUE(Infer(Bearer(rsa.Sign(Claims()))).status.ok());
  const Outcome outcome = Infer(Bearer(HmacToken("rsa", Claims(), rsa.PublicPem())));
  EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(router_.seen().size(), 1u);
}

TEST_F(SecurityTest, ATokenIsATenantWithItsRightsWhateverTheCallerSays) {
  Serve();
  Metadata metadata = Bearer(Token(R"("scope":"openid penstock:forced_experts")"));
  metadata.insert(metadata.end(), {{"penstock-tenant", "somebody"},
                                   {"penstock-rights", "admin"},
                                   {"penstock-priority", "0"},
                                   {"penstock-request-id", "mine"},
                                   {"penstock-credential", "mine"}});
  const Outcome outcome = Infer(metadata);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  ASSERT_EQ(router_.seen().size(), 1u);
  std::multimap<std::string, std::string> seen;
  const Metadata sent = router_.seen()[0];
  for (const auto& [key, value] : sent) {
    if (absl::string_view(key).substr(0, 9) == "penstock-") seen.emplace(key, value);
    EXPECT_NE(key, "authorization");
  }
  EXPECT_EQ(seen.count("penstock-tenant"), 1u);
  EXPECT_THAT(seen, Contains(Pair("penstock-tenant", "tokened")));
  EXPECT_EQ(seen.count("penstock-rights"), 1u);
  EXPECT_THAT(seen, Contains(Pair("penstock-rights", "forced_experts,pool=digits")));
  EXPECT_THAT(seen, Contains(Pair("penstock-priority", "5")));
  EXPECT_THAT(seen, Not(Contains(Pair(testing::_, "mine"))));

  EXPECT_EQ(Infer(Bearer(Token()), "letters").status.error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(SecurityTest, AdministratorsAloneSetBudgets) {
  Serve();
  constexpr char kSetBudget[] = "/penstock.v1.Routing/SetBudget";
  Metadata spoofed = Bearer(Token());
  spoofed.emplace_back("penstock-rights", "admin");
  v1::SetBudgetRequest request;
  request.set_pool("digits");
  EXPECT_EQ(Call(kSetBudget, spoofed, request.SerializeAsString()).status.error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(router_.seen(), IsEmpty());
  const Metadata admin = Bearer(Token(R"("scope":"penstock:admin")"));
  EXPECT_TRUE(Call(kSetBudget, admin, request.SerializeAsString()).status.ok());
  ASSERT_EQ(router_.seen().size(), 1u);
  EXPECT_EQ(FindMetadata(router_.seen()[0], "penstock-credential"), "token:tokened");
  // No pool is all pools, and this administrator has some.
  EXPECT_EQ(Call(kSetBudget, admin).status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(SecurityTest, KeysRotateThroughTheirFilesWhileItServes) {
  Serve();
  const SigningKey next("next", "ES256");
  const std::string token = next.Sign(Claims());
  EXPECT_EQ(Infer(Bearer(token)).status.error_code(), grpc::StatusCode::UNAUTHENTICATED);

  const auto until = [&](const std::string& credential, bool accepted) {
    const absl::Time give_up = clock_.Now() + absl::Seconds(30);
    while (Infer(Bearer(credential)).status.ok() != accepted) {
      if (clock_.Now() > give_up) return false;
    }
    return true;
  };
  dir_.Write("jwks.json", Jwks({issuer_key_.Public(), next.Public()}));
  EXPECT_TRUE(until(token, true));
  EXPECT_TRUE(Infer(Bearer(Token())).status.ok());
  // Withdrawn: what was verified with it is forgotten.
  dir_.Write("jwks.json", Jwks({next.Public()}));
  EXPECT_TRUE(until(Token(), false));
  EXPECT_TRUE(Infer(Bearer(token)).status.ok());
  // `printf %s def | sha256sum`
  dir_.Write("keys.yaml",
             "keys: [{sha256: cb8379ac2098aa165029e3938a51da0bcecfc008fd6795f401178647f96c5b34, "
             "tenant: keyed}]\n");
  EXPECT_TRUE(until("def", true));
  EXPECT_FALSE(Infer(Bearer("abc")).status.ok());

  const std::string metrics = prometheus::TextSerializer().Serialize(registry_->Collect());
  EXPECT_THAT(metrics, HasSubstr("penstock_gateway_credential_reloads_total{file=\"jwks\","
                                 "result=\"taken\"}"));
}

TEST_F(SecurityTest, MetadataIsBounded) {
  config_.mutable_server()->set_max_metadata_bytes(4096);
  Serve();
  Metadata metadata = Bearer("abc");
  metadata.emplace_back("x-padding", std::string(2048, 'x'));
  EXPECT_TRUE(Infer(metadata).status.ok());
  metadata.emplace_back("x-more", std::string(2048, 'x'));
  EXPECT_EQ(Infer(metadata).status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(router_.seen().size(), 1u);
}

TEST_F(SecurityTest, ByDefaultThereIsRoomForTheLongestToken) {
  Serve();
  const std::string token = Token(absl::StrCat(R"("x":")", std::string(5500, 'x'), "\""));
  ASSERT_GT(token.size(), 7500u);
  ASSERT_LE(token.size(), 8192u);
  const Outcome outcome = Infer(Bearer(token));
  EXPECT_TRUE(outcome.status.ok()) << outcome.status.error_message();
}

TEST_F(SecurityTest, MessagesAreBounded) {
  config_.mutable_server()->set_max_message_bytes(4096);
  Serve();
  const Outcome outcome =
      Call("/inference.GRPCInferenceService/ModelInfer", Bearer("abc"), std::string(5000, '\0'));
  EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(outcome.trailers, Not(Contains(Pair("retry-after-ms", testing::_))));
  EXPECT_THAT(router_.seen(), IsEmpty());
}

TEST_F(SecurityTest, ATenantThatAsksMoreThanItsQuotaIsToldWhenToComeBack) {
  config::v1::Quota quota;
  quota.set_requests_per_second(0.001);
  quota.set_burst(2);
  (*config_.mutable_identity()->mutable_quotas())["default"] = quota;
  Serve();
  EXPECT_TRUE(Infer(Bearer("abc")).status.ok());
  EXPECT_TRUE(Infer(Bearer("abc")).status.ok());
  const Outcome refused = Infer(Bearer("abc"));
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto retry_after = refused.trailers.find("retry-after-ms");
  ASSERT_NE(retry_after, refused.trailers.end());
  EXPECT_THAT(std::stol(retry_after->second), AllOf(testing::Gt(900'000), testing::Le(1'000'000)));
  EXPECT_THAT(refused.trailers, Contains(Pair("grpc-retry-pushback-ms", retry_after->second)));
  // Another tenant has its own.
  EXPECT_TRUE(Infer(Bearer(Token())).status.ok());
}

TEST_F(SecurityTest, ATenantsPlaceIsFreeOnceItsRequestIsAnswered) {
  (*config_.mutable_identity()->mutable_quotas())["default"].set_max_in_flight(1);
  Serve();
  router_.Hold();
  auto first = std::async(std::launch::async, [this] { return Infer(Bearer("abc")); });
  router_.WaitForHeld();
  EXPECT_EQ(Infer(Bearer("abc")).status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  router_.Release();
  EXPECT_TRUE(first.get().status.ok());
  EXPECT_TRUE(Infer(Bearer("abc")).status.ok());
}

}  // namespace
}  // namespace penstock::gateway
