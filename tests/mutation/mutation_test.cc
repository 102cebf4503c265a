// Requests of every RPC, valid but for what a seed changed, sent to a running platform: each is
// answered with a status, nothing of the platform ends, and it still serves as it did.

#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/mutation/broken_connection.h"
#include "tests/mutation/call_mutation.h"
#include "tests/mutation/caller.h"
#include "tests/mutation/outcome_table.h"
#include "tests/mutation/platform.h"

namespace penstock {
namespace {

// Of the command line.
struct Arguments {
  uint64_t requests = 3000;
  uint64_t seed = 1;
  uint64_t concurrency = 64;
  // Only this one of the seed's calls.
  std::optional<uint64_t> only;
};
Arguments& arguments() {
  static Arguments& arguments = *new Arguments();
  return arguments;
}

// Between two looks at the platform.
constexpr uint64_t kRound = 2000;
constexpr uint64_t kBrokenConnectionsARound = 40;

TEST(MutationTest, EveryRequestGetsAStatusAndThePlatformServesOn) {
  const google::protobuf::LogSilencer silencer;  // it logs every text that is no UTF-8
  const auto platform = MutationPlatform::Start();
  ASSERT_NE(platform, nullptr);
  const CallMutator mutator(arguments().seed, /*admin=*/true);
  OutcomeTable table;
  const absl::Time began = absl::Now();
  uint64_t connections = 0;
  {
    MutationCaller caller(
        {.addresses = platform->addresses(), .concurrency = arguments().concurrency},
        [&](const MutatedCall& call, const Outcome& outcome) { table.Add(call, outcome); });
    if (arguments().only.has_value()) {
      caller.Send(mutator.Make(*arguments().only));
      caller.WaitForAll();
    }
    for (uint64_t sent = 0; sent < arguments().requests && !arguments().only.has_value();) {
      for (uint64_t i = 0; i < kRound && sent < arguments().requests; ++i) {
        caller.Send(mutator.Make(sent++));
      }
      caller.WaitForAll();
      CounterRandom random(arguments().seed, ~sent);
      for (uint64_t i = 0; i < kBrokenConnectionsARound; ++i) {
        for (const std::string& address : platform->addresses()) {
          EXPECT_TRUE(SendBrokenConnection(address, random));
          ++connections;
        }
      }
      const std::string casualties = platform->Ended() + platform->Reports();
      ASSERT_TRUE(casualties.empty())
          << "after " << sent << " requests of seed " << arguments().seed << "\n"
          << casualties << table.Text() << table.faults();
      platform->Restore();
      platform->ExpectItServes();
      if (testing::Test::HasFailure()) break;
    }
  }
  std::printf("%s%ju requests of seed %ju and %ju broken connections in %.0f s\n",
              table.Text().c_str(), static_cast<uintmax_t>(table.calls()),
              static_cast<uintmax_t>(arguments().seed), static_cast<uintmax_t>(connections),
              absl::ToDoubleSeconds(absl::Now() - began));
  EXPECT_TRUE(table.faults().empty()) << table.faults();
  platform->ExpectSoundMetrics();
  platform->Stop();
  // What leaks is reported at the end.
  EXPECT_TRUE(platform->Reports().empty()) << platform->Reports();
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    uint64_t only = 0;
    penstock::Arguments& arguments = penstock::arguments();
    if (absl::ConsumePrefix(&argument, "--requests=") &&
        absl::SimpleAtoi(argument, &arguments.requests)) {
      continue;
    }
    if (absl::ConsumePrefix(&argument, "--seed=") && absl::SimpleAtoi(argument, &arguments.seed)) {
      continue;
    }
    if (absl::ConsumePrefix(&argument, "--concurrency=") &&
        absl::SimpleAtoi(argument, &arguments.concurrency) && arguments.concurrency > 0) {
      continue;
    }
    if (absl::ConsumePrefix(&argument, "--only=") && absl::SimpleAtoi(argument, &only)) {
      arguments.only = only;
      continue;
    }
    std::fprintf(
        stderr,
        "error: argument '%s'\n"
        "penstock_mutation_test [--requests=N] [--seed=N] [--concurrency=N] [--only=NUMBER]\n"
        "  sends N mutated requests, so many at once, to a platform of its own, or that one\n"
        "  of the seed's\n",
        argv[i]);
    return 2;
  }
  return RUN_ALL_TESTS();
}
