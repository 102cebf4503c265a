#include <gmock/gmock.h>

#include <string>

#include "tests/common_net/certificates.h"
#include "tests/common_net/net_fixture.h"

namespace penstock {
namespace {

class TlsTest : public ::testing::Test {
 protected:
  void Serve(bool mutual, bool trust_plaintext = true) {
    server_ = std::make_unique<TestServer>(
        [this](const std::shared_ptr<IncomingCall>& call) {
          caller_ = call->caller();
          FunctionHandler::Echo(call);
        },
        [&](OipServerOptions& options) {
          options.trusted_names = {"gateway-1", "gateway-2"};
          options.trust_plaintext = trust_plaintext;  // says nothing about callers with TLS
          options.config.mutable_tls()->set_certificate_file(certificates_.File("server.pem"));
          options.config.mutable_tls()->set_key_file(certificates_.File("server.key"));
          if (mutual) {
            options.config.mutable_tls()->set_client_ca_file(certificates_.File("ca.pem"));
          }
        });
  }
  absl::Status Call(const std::string& client, bool plaintext = false) {
    config::v1::Endpoint endpoint;
    endpoint.set_address((*server_)->address());
    if (!plaintext) endpoint.set_ca_file(certificates_.File("ca.pem"));
    if (!client.empty()) {
      endpoint.set_certificate_file(certificates_.File(client + ".pem"));
      endpoint.set_key_file(certificates_.File(client + ".key"));
    }
    auto target = GrpcInferTarget::Create(endpoint, (*server_)->queues());
    if (!target.ok()) return target.status();
    CallOptions options;
    options.deadline = absl::Now() + absl::Seconds(20);
    return Infer(**target, Bytes("x"), options).status;
  }

  const Certificates certificates_;
  std::unique_ptr<TestServer> server_;
  Caller caller_;
};

TEST_F(TlsTest, ATrustedNameIsTrusted) {
  Serve(/*mutual=*/true);
  ASSERT_TRUE(Call("gateway-1").ok());
  EXPECT_TRUE(caller_.trusted);
  EXPECT_EQ(caller_.certificate_name, "gateway-1");
}

TEST_F(TlsTest, AnotherNameOfTheSameAuthorityIsNot) {
  Serve(/*mutual=*/true);
  ASSERT_TRUE(Call("stranger").ok());
  EXPECT_FALSE(caller_.trusted);
  EXPECT_EQ(caller_.certificate_name, "stranger");
}

TEST_F(TlsTest, WithoutACertificateNobodyGetsIn) {
  Serve(/*mutual=*/true);
  EXPECT_EQ(Call("").code(), absl::StatusCode::kUnavailable);
}

TEST_F(TlsTest, PlaintextDoesNotGetIn) {
  Serve(/*mutual=*/false);
  EXPECT_EQ(Call("", /*plaintext=*/true).code(), absl::StatusCode::kUnavailable);
}

TEST_F(TlsTest, WithoutClientAuthorityCallersAreUnknown) {
  Serve(/*mutual=*/false);
  ASSERT_TRUE(Call("").ok());
  EXPECT_FALSE(caller_.trusted);
  EXPECT_EQ(caller_.certificate_name, "");
}

TEST_F(TlsTest, InProcessCallersOfATlsServerAreTrusted) {
  Serve(/*mutual=*/true, /*trust_plaintext=*/false);
  auto target =
      GrpcInferTarget::Over((*server_)->InProcessChannel(), "test", (*server_)->queues());
  ASSERT_TRUE(Infer(*target, Bytes("x")).status.ok());
  EXPECT_TRUE(caller_.trusted);
  EXPECT_EQ(caller_.peer, "inproc");
}

// What a client of `ca` gets that keeps trying until the server shows a certificate of it.
bool ConnectsWith(const std::string& address, const std::string& ca) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel =
      grpc::CreateCustomChannel(address, grpc::SslCredentials(options), arguments);
  return channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

TEST_F(TlsTest, ACertificateThatIsReplacedIsServedAndNoConnectionIsDropped) {
  const Certificates next;
  std::promise<std::shared_ptr<IncomingCall>> held;
  TestServer server(
      [&held](const std::shared_ptr<IncomingCall>& call) {
        if (call->request().ToString() == "hold") return held.set_value(call);
        FunctionHandler::Echo(call);
      },
      [&](OipServerOptions& options) {
        options.config.mutable_tls()->set_certificate_file(certificates_.File("server.pem"));
        options.config.mutable_tls()->set_key_file(certificates_.File("server.key"));
      });
  config::v1::Endpoint endpoint;
  endpoint.set_address(server->address());
  endpoint.set_ca_file(certificates_.File("ca.pem"));
  const auto before = *GrpcInferTarget::Create(endpoint, server->queues());
  auto reply = std::make_shared<std::promise<InferReply>>();
  before->ModelInfer(Bytes("hold"), {}, [reply](InferReply r) { reply->set_value(std::move(r)); });
  const std::shared_ptr<IncomingCall> begun = held.get_future().get();

  // Both files of another authority: whoever trusts that one alone sees when they are taken.
  certificates_.Replace("server.key", next.Read("server.key"));
  certificates_.Replace("server.pem", next.Read("server.pem"));
  ASSERT_TRUE(ConnectsWith(server->address(), next.Read("ca.pem")));

  // The call that began before ends well, and its connection takes more.
  FunctionHandler::Echo(begun);
  EXPECT_TRUE(reply->get_future().get().status.ok());
  EXPECT_TRUE(Infer(*before, Bytes("x")).status.ok());
}

TEST(CallerPolicyTest, TrustIsANameAPeerOrPlaintext) {
  const CallerPolicy strict({"a"}, /*trust_plaintext=*/false, /*tls=*/true);
  EXPECT_FALSE(strict.Identify("ipv4:10.0.0.1:1", false, {}).trusted);
  EXPECT_FALSE(strict.Identify("unknown", false, {}).trusted);
  EXPECT_TRUE(strict.Identify("ipv4:10.0.0.1:1", true, {"b", "a"}).trusted);
  EXPECT_FALSE(strict.Identify("ipv4:10.0.0.1:1", true, {"b"}).trusted);
  EXPECT_EQ(strict.Identify("ipv4:10.0.0.1:1", true, {"b"}).certificate_name, "b");
  const CallerPolicy open({}, /*trust_plaintext=*/true, /*tls=*/false);
  EXPECT_TRUE(open.Identify("ipv4:10.0.0.1:1", false, {}).trusted);
  EXPECT_FALSE(open.Identify("ipv4:10.0.0.1:1", true, {"b"}).trusted);
}

}  // namespace
}  // namespace penstock
