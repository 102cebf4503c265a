#include "cli/health/health_check.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/exit_code.h"
#include "gmock/gmock.h"
#include "tests/common_net/certificates.h"
#include "tests/common_net/net_fixture.h"
#include "tests/integration/process.h"
#include "tests/support/status_matchers.h"

namespace penstock::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// As long as a busy machine may take; what is waited for comes at once.
constexpr absl::Duration kPatience = absl::Seconds(30);

HealthQuestion To(const std::string& address) {
  HealthQuestion question;
  question.address = address;
  question.timeout = kPatience;
  return question;
}

// A server on loopback; `mutual`: with a certificate, for clients that show one.
class HealthCheckTest : public ::testing::Test {
 protected:
  static void Echo(std::shared_ptr<IncomingCall> call) { FunctionHandler::Echo(call); }
  std::unique_ptr<TestServer> Mutual() const {
    return std::make_unique<TestServer>(&Echo, [&](OipServerOptions& options) {
      config::v1::Tls& tls = *options.config.mutable_tls();
      tls.set_certificate_file(certificates_.File("server.pem"));
      tls.set_key_file(certificates_.File("server.key"));
      tls.set_client_ca_file(certificates_.File("ca.pem"));
    });
  }
  ClientOptions Known() const {
    ClientOptions tls;
    tls.ca_file = certificates_.File("ca.pem");
    tls.certificate_file = certificates_.File("gateway-1.pem");
    tls.key_file = certificates_.File("gateway-1.key");
    return tls;
  }
  static std::string Local(TestServer& server) {
    return absl::StrCat("localhost", server->address().substr(server->address().rfind(':')));
  }

  const Certificates certificates_;
};

MATCHER_P2(Ends, code, message, "") {
  return ExitCodeOf(arg) == code &&
         ExplainMatchResult(message, std::string(arg.message()), result_listener);
}

TEST_F(HealthCheckTest, TellsWhatTheServerSays) {
  TestServer server(&Echo);
  EXPECT_THAT(CheckHealth(To(server->address())), IsOk());
  server->SetServing(false);
  EXPECT_THAT(CheckHealth(To(server->address())), Ends(1, HasSubstr("says NOT_SERVING")));
}

TEST_F(HealthCheckTest, AServiceMayBeAskedFor) {
  TestServer server(&Echo);
  HealthQuestion question = To(server->address());
  question.service = "inference.GRPCInferenceService";
  EXPECT_THAT(CheckHealth(question), IsOk());
  question.service = "no.such.Service";
  EXPECT_EQ(ExitCodeOf(CheckHealth(question)), 2);
}

TEST_F(HealthCheckTest, NobodyThereIsNotAskedAndSaysWhy) {
  std::string address;
  {
    TestServer server(&Echo);
    address = server->address();
  }
  EXPECT_THAT(CheckHealth(To(address)), Ends(2, HasSubstr(address)));
  EXPECT_THAT(CheckHealth(To("")), Ends(2, HasSubstr("ADDRESS is empty")));
}

TEST_F(HealthCheckTest, AServerThatWantsACertificateIsShownOne) {
  const std::unique_ptr<TestServer> server = Mutual();
  HealthQuestion question = To(Local(*server));
  question.tls = Known();
  EXPECT_THAT(CheckHealth(question), IsOk());
  (*server)->SetServing(false);
  EXPECT_EQ(ExitCodeOf(CheckHealth(question)), 1);
  // Without one, in plaintext, and by another name.
  question.tls.certificate_file = question.tls.key_file = "";
  EXPECT_EQ(ExitCodeOf(CheckHealth(question)), 2);
  EXPECT_EQ(ExitCodeOf(CheckHealth(To(Local(*server)))), 2);
  question.tls = Known();
  question.tls.server_name = "another";
  EXPECT_EQ(ExitCodeOf(CheckHealth(question)), 2);
  question.tls.server_name = "localhost";
  question.address = (*server)->address();
  EXPECT_EQ(ExitCodeOf(CheckHealth(question)), 1);
}

TEST_F(HealthCheckTest, WhoNeedNotBeKnownIsAskedByNoName) {
  const std::unique_ptr<TestServer> server = Mutual();
  HealthQuestion question = To((*server)->address());
  question.verify = false;
  EXPECT_EQ(ExitCodeOf(CheckHealth(question)), 2) << "the server wants a certificate";
  question.tls.certificate_file = certificates_.File("gateway-1.pem");
  question.tls.key_file = certificates_.File("gateway-1.key");
  EXPECT_THAT(CheckHealth(question), IsOk());
  (*server)->SetServing(false);
  EXPECT_EQ(ExitCodeOf(CheckHealth(question)), 1);
  question.tls.ca_file = certificates_.File("ca.pem");
  EXPECT_THAT(CheckHealth(question), Ends(2, HasSubstr("--no_verify")));
}

TEST_F(HealthCheckTest, OptionsThatDoNotGoTogetherAreNamed) {
  HealthQuestion question = To("localhost:1");
  question.tls.certificate_file = "a";
  EXPECT_THAT(CheckHealth(question), Ends(2, HasSubstr("--key")));
  question.tls.key_file = "b";
  EXPECT_THAT(CheckHealth(question), Ends(2, HasSubstr("--ca")));
  question.verify = false;
  EXPECT_THAT(CheckHealth(question), Ends(2, AllOf(HasSubstr("--cert: a"))));
  question.tls = {};
  question.verify = true;
  question.tls.server_name = "c";
  EXPECT_THAT(CheckHealth(question), Ends(2, HasSubstr("--ca")));
}

// The program itself, as a probe runs it.
TEST_F(HealthCheckTest, TheProgramEndsWithWhatAProbeReads) {
  const std::string program = std::string(PENSTOCK_BIN_DIR) + "/penstock";
  const std::unique_ptr<TestServer> server = Mutual();
  const std::vector<std::string> asked = {
      program, "health", (*server)->address(), "--no_verify", "--timeout_s", "30", "--cert",
      certificates_.File("gateway-1.pem"), "--key", certificates_.File("gateway-1.key")};
  std::string output;
  EXPECT_EQ(RunCommand(asked, output), 0) << output;
  EXPECT_EQ(output, "SERVING\n");
  (*server)->SetServing(false);
  EXPECT_EQ(RunCommand(asked, output), 1) << output;
  EXPECT_THAT(output, HasSubstr("NOT_SERVING"));
  EXPECT_EQ(RunCommand({program, "health", (*server)->address(), "--timeout_s", "30"}, output), 2)
      << output;
  EXPECT_EQ(RunCommand({program, "health"}, output), 2) << output;
  EXPECT_THAT(output, HasSubstr("ADDRESS"));
}

}  // namespace
}  // namespace penstock::cli
