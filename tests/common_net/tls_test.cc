#include <gmock/gmock.h>

#include <cstdlib>
#include <string>

#include "tests/common_net/net_fixture.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

// A certificate authority of the test's own, and what it signs.
class Certificates {
 public:
  Certificates() {
    Run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca "
        "-keyout ca.key -out ca.pem");
    Sign("server", "DNS:localhost,IP:127.0.0.1");
    Sign("gateway-1", "DNS:gateway-1");
    Sign("stranger", "DNS:stranger");
  }
  std::string File(const std::string& name) const { return dir_.File(name); }

 private:
  void Sign(const std::string& name, const std::string& names) {
    dir_.Write(name + ".ext", "subjectAltName=" + names + "\n");
    Run("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" + name +
        " -keyout " + name + ".key -out " + name + ".csr");
    Run("x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile " +
        name + ".ext -out " + name + ".pem");
  }
  void Run(const std::string& arguments) {
    const std::string command =
        "cd " + dir_.path() + " && openssl " + arguments + " >openssl.log 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << command << "\n" << dir_.Read("openssl.log");
  }

  const TempDir dir_;
};

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
