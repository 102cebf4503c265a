// Clients that a platform has to live with, beside those that want nothing but answers: requests of
// every RPC that are wrong in many ways, streams, explanations, calls that are cancelled,
// connections that come and go, and listeners to decisions. Sends them to gateways until its time
// is over.

#include <google/protobuf/stubs/logging.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "penstock/v1/routing.pb.h"
#include "tests/mutation/call_mutation.h"
#include "tests/mutation/caller.h"
#include "tests/mutation/outcome_table.h"

namespace penstock {
namespace {

// How long a listener to decisions stays before another one takes its place.
constexpr absl::Duration kListens = absl::Seconds(4);

struct Options {
  std::vector<std::string> gateways;
  double rate = 20;
  double seconds = 10;
  uint64_t seed = 1;
  int listeners = 2;
};

MutatedCall Listener(uint64_t number) {
  MutatedCall call;
  call.number = number;
  call.path = "/penstock.v1.Routing/WatchDecisions";
  call.response = v1::Decision::descriptor();
  call.messages = {""};
  call.metadata = {{"authorization", "Bearer alice-key"}};
  call.leaves_after = kListens;
  return call;
}

int Run(const Options& options) {
  const google::protobuf::LogSilencer silencer;  // it logs every text that is no UTF-8
  std::mutex table_mutex;
  OutcomeTable table;
  {
    const CallMutator mutator(options.seed, /*admin=*/false);
    std::vector<std::unique_ptr<MutationCaller>> callers;
    for (const std::string& gateway : options.gateways) {
      callers.push_back(std::make_unique<MutationCaller>(
          MutationCaller::Options{.addresses = {gateway, gateway, gateway},
                                  .calls_a_connection = 20},
          [&](const MutatedCall& call, const Outcome& outcome) {
            const std::lock_guard<std::mutex> lock(table_mutex);
            table.Add(call, outcome);
          }));
    }
    const absl::Time began = absl::Now();
    absl::Time listeners_due = began;
    for (uint64_t number = 0;; ++number) {
      const absl::Time due = began + absl::Seconds(static_cast<double>(number) / options.rate);
      if (due > began + absl::Seconds(options.seconds)) break;
      absl::SleepFor(std::max(due - absl::Now(), absl::ZeroDuration()));
      if (absl::Now() >= listeners_due) {
        for (int i = 0; i < options.listeners; ++i) {
          callers[static_cast<size_t>(i) % callers.size()]->Send(Listener(number));
        }
        listeners_due += kListens;
      }
      callers[number % callers.size()]->Send(mutator.Make(number));
    }
  }
  std::printf("%s", table.Text().c_str());
  if (table.faults().empty()) return 0;
  std::fprintf(stderr, "error: seed %ju\n%s", static_cast<uintmax_t>(options.seed),
               table.faults().c_str());
  return 1;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  CLI::App app(
      "Sends gateways requests of every RPC that are wrong in many ways, and listens to "
      "decisions.\n"
      "Prints what became of them; ends with 1 where one got no status or a broken answer.");
  penstock::Options options;
  app.add_option("--gateways", options.gateways, "HOST:PORT of each")->required()->delimiter(',');
  app.add_option("--rate", options.rate, "requests a second, of all gateways together")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--duration_s", options.seconds, "how long")->capture_default_str();
  app.add_option("--seed", options.seed, "which requests")->capture_default_str();
  app.add_option("--listeners", options.listeners, "to decisions, at any time")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return penstock::Run(options);
}
