// What does one decision cost, against the number of experts? Prints rows as JSON.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/counted_allocations.h"
#include "bench/decision/decision_contender.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::router {
namespace {

struct Options {
  std::vector<size_t> experts = {2, 8, 64, 256, 1000};
  std::vector<size_t> k = {2, 1};
  size_t decisions = 20'000;
  size_t rounds = 3;
};

// The budgets' windows are full, the workspaces have their size.
constexpr size_t kWarmUp = 1'100;

// CPU time of this thread: other programs on the core do not count, but what they did to the caches does.
double ThreadNanoseconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return 1e9 * static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec);
}

// What reading the clock twice adds to every sample.
double ClockNanoseconds() {
  std::vector<double> samples(10'000);
  for (double& sample : samples) {
    const double before = ThreadNanoseconds();
    sample = ThreadNanoseconds() - before;
  }
  std::nth_element(samples.begin(), samples.begin() + samples.size() / 2, samples.end());
  return samples[samples.size() / 2];
}

double Quantile(std::vector<double>& samples, double q) {
  const size_t rank = static_cast<size_t>(std::ceil(q * static_cast<double>(samples.size()))) - 1;
  std::nth_element(samples.begin(), samples.begin() + static_cast<ptrdiff_t>(rank), samples.end());
  return samples[rank];
}

double Median(std::vector<double> values) { return Quantile(values, 0.5); }

struct Entry {
  size_t experts = 0;
  size_t k = 0;
  size_t features = 0;
  size_t decisions = 0;
  std::unique_ptr<DecisionContender> contender;
  std::vector<double> p50, p99, per_second, allocations;  // by round
};

// A choice is right when no set of experts is worth more under the same limits. fp32 scores differ from
// double ones by less than 1e-4 each.
absl::Status Check(const DecisionCase& of, Entry& entry) {
  const bool with_features = entry.features > 0;
  const double tolerance = with_features ? 1e-4 * static_cast<double>(entry.k) : 1e-9;
  for (size_t i = 0; i < DecisionCase::kRequests; ++i) {
    PENSTOCK_ASSIGN_OR_RETURN(const ExpertChoice* choice, entry.contender->Decide(i));
    PENSTOCK_ASSIGN_OR_RETURN(const ExpertChoice best,
                              ChooseExhaustively(of, i, with_features, choice->limits));
    entry.contender->End();
    if (std::abs(choice->selection.objective - best.selection.objective) > tolerance) {
      return absl::InternalError(absl::StrCat(
          entry.contender->name(), " with ", entry.experts, " experts, k ", entry.k, ": request ", i,
          " got ", choice->selection.objective, ", the best is ", best.selection.objective));
    }
  }
  return absl::OkStatus();
}

absl::Status Measure(Entry& entry) {
  DecisionContender& contender = *entry.contender;
  std::vector<double> samples(entry.decisions);
  for (size_t i = 0; i < std::min(kWarmUp, entry.decisions); ++i) {
    PENSTOCK_RETURN_IF_ERROR(contender.Decide(i).status());
    contender.End();
  }
  uint64_t allocated = 0;
  const double start = ThreadNanoseconds();
  for (size_t i = 0; i < entry.decisions; ++i) {
    const uint64_t allocated_before = allocations;
    const double before = ThreadNanoseconds();
    const auto choice = contender.Decide(i);
    samples[i] = ThreadNanoseconds() - before;
    allocated += allocations - allocated_before;
    PENSTOCK_RETURN_IF_ERROR(choice.status());
    contender.End();
  }
  const double seconds = 1e-9 * (ThreadNanoseconds() - start);
  const auto count = static_cast<double>(entry.decisions);
  entry.per_second.push_back(count / seconds);
  entry.allocations.push_back(static_cast<double>(allocated) / count);
  entry.p50.push_back(1e-3 * Quantile(samples, 0.5));
  entry.p99.push_back(1e-3 * Quantile(samples, 0.99));
  return absl::OkStatus();
}

absl::Status Run(const Options& options) {
  const RealClock clock;
  std::vector<std::unique_ptr<DecisionCase>> cases;
  std::vector<Entry> entries;
  for (const size_t k : options.k) {
    for (const size_t features : {DecisionCase::kFeatures, size_t{0}}) {
      for (const size_t experts : options.experts) {
        for (const auto make : {MakePipelineDecision, MakeRoomsDecision, MakeExhaustiveDecision}) {
          // A case of its own: contenders that share budgets would change each other's prices.
          PENSTOCK_ASSIGN_OR_RETURN(auto of, DecisionCase::Create(experts, k, clock));
          Entry entry{experts, k, features};
          entry.contender = make(*of, features > 0);
          const bool reference = entry.contender->name() == "exhaustive";
          // Large pools take longer each, and the reference much longer.
          const size_t work = experts < 64 ? 1 : experts / 64;
          entry.decisions = std::max<size_t>(
              10, options.decisions / (work * (reference ? (k > 1 ? 20 * work : 4) : 1)));
          PENSTOCK_RETURN_IF_ERROR(Check(*of, entry));
          cases.push_back(std::move(of));
          entries.push_back(std::move(entry));
        }
      }
    }
  }
  for (size_t round = 0; round < options.rounds; ++round) {
    for (Entry& entry : entries) PENSTOCK_RETURN_IF_ERROR(Measure(entry));
  }
  const auto rounded = [](double value) { return std::round(1e3 * value) / 1e3; };
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Entry& entry : entries) {
    rows.push_back({{"experts", entry.experts},
                    {"features", entry.features},
                    {"k", entry.k},
                    {"contender", entry.contender->name()},
                    {"p50_us", rounded(Median(entry.p50))},
                    {"p99_us", rounded(Median(entry.p99))},
                    {"decisions_per_second_per_core", std::round(Median(entry.per_second))},
                    {"allocations", rounded(Median(entry.allocations))}});
  }
  const nlohmann::ordered_json json = {{"clock_us", 1e-3 * ClockNanoseconds()},
                                       {"decisions", options.decisions},
                                       {"rounds", options.rounds},
                                       {"rows", rows}};
  std::printf("%s\n", json.dump(1).c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace penstock::router

int main(int argc, char** argv) {
  penstock::router::Options options;
  CLI::App app("The router's decision, timed in CPU time of one thread");
  app.add_option("--experts", options.experts, "pool sizes")->delimiter(',')->check(CLI::Range(2, 100000));
  app.add_option("--k", options.k, "experts a request may get")->delimiter(',')->check(CLI::Range(1, 2));
  app.add_option("--decisions", options.decisions, "samples a round of small pools")
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds, "medians of so many")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = penstock::router::Run(options);
  if (!status.ok()) {
    std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  return 0;
}
