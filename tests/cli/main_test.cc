// The built `penstock`: what it says for --help, and for what it cannot do.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/process.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Outcome {
  int exit_code = 0;
  std::string output;
};

Outcome Penstock(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(PENSTOCK_BIN_DIR) + "/penstock");
  Outcome outcome;
  outcome.exit_code = RunCommand(arguments, outcome.output);
  return outcome;
}

const std::map<std::string, std::vector<std::string>>& MainOptions() {
  static const auto& options = *new std::map<std::string, std::vector<std::string>>{
      {"serve", {"--config", "--roles", "--ready_file", "--validate_config"}},
      {"train", {"--outcomes", "--inputs", "--output", "--experts", "--seed", "--cascade", "--risk",
        "--policy", "--verifier", "--labels", "--count", "--gate", "--gate_k", "dense_to_sparse",
        "--json"}},
      {"plan",
       {"--outcomes", "--profile", "--energy_limit_j", "--latency_limit_ms", "--semantics", "--watts",
        "--cascade", "--plot", "--json"}},
      {"quantize", {"--output", "--format", "--group", "--budget_bytes", "--budget_bits", "--inputs", "--json"}},
      {"kernels", {"--force", "--json"}},
      {"infer",
       {"--target", "--pool", "--input", "--latency_budget_ms", "--energy_budget_j",
        "--min_quality", "--objective", "--experts", "--explain", "--api_key_file", "--json"}},
      {"load", {"--target", "--pool", "--input", "--rate", "--concurrency", "--duration_s", "--json"}},
      {"explain", {"--target", "--pool", "--input", "--json"}},
      {"report", {"--target", "--router", "--decision", "--quality", "--file", "--json"}},
      {"budget", {"get", "set", "watch", "export"}},
      {"status", {"--target", "--router", "--interval_s", "--once", "--json", "--ca", "--cert", "--key",
        "--server_name"}},
      {"health", {"ADDRESS", "--service", "--ca", "--cert", "--key", "--no_verify", "--timeout_s"}},
      {"evaluate",
       {"--target", "--pool", "--inputs", "--labels", "--dimension", "--budgets", "--report",
        "--gateway_metrics", "--json"}}};
  return options;
}

TEST(PenstockTest, HelpNamesEveryCommand) {
  const Outcome help = Penstock({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const auto& [command, options] : MainOptions()) {
    EXPECT_THAT(help.output, HasSubstr(absl::StrCat("\n  ", command))) << command;
  }
}

TEST(PenstockTest, HelpOfEachCommandNamesItsOptions) {
  for (const auto& [command, options] : MainOptions()) {
    const Outcome help = Penstock({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    for (const std::string& option : options) {
      EXPECT_THAT(help.output, HasSubstr(option)) << command;
    }
  }
}

TEST(PenstockTest, VersionIsANameAndANumber) {
  const Outcome version = Penstock({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.output, testing::MatchesRegex("penstock [0-9]+\\.[0-9]+.*\n"));
}

TEST(PenstockTest, UnknownOptionsAndCommandsAreErrorsThatNameThem) {
  const Outcome option = Penstock({"status", "--onse"});
  EXPECT_NE(option.exit_code, 0);
  EXPECT_THAT(option.output, HasSubstr("--onse"));
  const Outcome command = Penstock({"statsu"});
  EXPECT_NE(command.exit_code, 0);
  EXPECT_THAT(command.output, HasSubstr("statsu"));
  EXPECT_THAT(command.output, HasSubstr("--help"));
}

TEST(PenstockTest, CommandAndRequiredOptionsMustBeThere) {
  EXPECT_NE(Penstock({}).exit_code, 0);
  const Outcome infer = Penstock({"infer", "--input", "x=1"});
  EXPECT_NE(infer.exit_code, 0);
  EXPECT_THAT(infer.output, HasSubstr("--pool"));
}

// A port that is bound and does not listen: connections are refused, and nobody else can have it.
class ClosedPort {
 public:
  ClosedPort() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~ClosedPort() { close(fd_); }
  const std::string& address() const { return address_; }

 private:
  const int fd_;
  std::string address_;
};

TEST(PenstockTest, TargetThatIsNotThereIsUnavailableWithinSeconds) {
  const ClosedPort closed;
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"infer", "--pool", "digits", "--input", "x=[1]"},
           {"explain", "--pool", "digits", "--input", "x=[1]"},
           {"status", "--once"}}) {
    std::vector<std::string> with_target = arguments;
    with_target.insert(with_target.end(), {"--target", closed.address()});
    const absl::Time start = absl::Now();
    const Outcome outcome = Penstock(with_target);
    EXPECT_EQ(outcome.exit_code, 1) << arguments[0];
    EXPECT_THAT(outcome.output, StartsWith("error: UNAVAILABLE: ")) << arguments[0];
    EXPECT_LT(absl::Now() - start, absl::Seconds(8)) << arguments[0];
  }
}

TEST(PenstockTest, LoadWantsOneOfRateAndConcurrency) {
  const std::vector<std::string> load = {"load", "--pool", "digits", "--input", "x=[1]"};
  EXPECT_THAT(Penstock(load).output,
              AllOf(StartsWith("error: INVALID_ARGUMENT"), HasSubstr("--rate"), HasSubstr("--concurrency")));
  std::vector<std::string> both = load;
  both.insert(both.end(), {"--rate", "10", "--concurrency", "2"});
  EXPECT_EQ(Penstock(both).exit_code, 1);
}

TEST(PenstockTest, ServeChecksItsConfigurationWithoutServing) {
  const TempDir folder;
  const std::string good = folder.Write("good.yaml", "gateway: {routers: [{address: \"127.0.0.1:1\"}]}\n");
  const Outcome valid = Penstock({"serve", "--config", good, "--roles", "gateway", "--validate_config"});
  EXPECT_EQ(valid.exit_code, 0);
  EXPECT_THAT(valid.output, HasSubstr("is valid"));

  const std::string bad = folder.Write("bad.yaml", "gateway: {roters: []}\n");
  const Outcome invalid = Penstock({"serve", "--config", bad, "--roles", "gateway", "--validate_config"});
  EXPECT_EQ(invalid.exit_code, 1);
  EXPECT_THAT(invalid.output, AllOf(HasSubstr("bad.yaml"), HasSubstr("gateway.roters")));
}

}  // namespace
}  // namespace penstock
