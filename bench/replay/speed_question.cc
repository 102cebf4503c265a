#include "bench/replay/speed_question.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "common/time/thread_cpu.h"
#include "router_service/simulation/simulation.h"

namespace penstock::router {
namespace {

constexpr size_t kExperts = 16;
constexpr size_t kRows = 10'000;

// Dearer experts are better on the whole, each by its own at each request.
OutcomeMatrix PlantedOutcomes() {
  OutcomeMatrix outcomes;
  for (size_t e = 0; e < kExperts; ++e) outcomes.experts.push_back(absl::StrCat("expert", e));
  for (size_t row = 0; row < kRows; ++row) {
    outcomes.ids.push_back(absl::StrCat(row));
    CounterRandom random(7, row);
    for (size_t e = 0; e < kExperts; ++e) {
      OutcomeMatrix::Cell cell;
      const double share = static_cast<double>(e) / kExperts;
      const double right = std::clamp(0.3 + 0.4 * share + 0.4 * (random.Uniform() - 0.5), 0.0, 1.0);
      const double joules = 10 * std::exp(3 * share) * (0.5 + random.Uniform());
      cell.predicted_quality = static_cast<float>(right);
      cell.predicted_joules = static_cast<float>(joules);
      cell.quality = random.Uniform() < right ? 1 : 0;
      cell.joules = static_cast<float>(joules * (0.5 + random.Uniform()));
      cell.seconds = static_cast<float>(2 + 6 * random.Uniform());
      outcomes.cells.push_back(cell);
    }
  }
  return outcomes;
}

}  // namespace

absl::StatusOr<nlohmann::ordered_json> SpeedQuestion(size_t requests, size_t rounds) {
  const OutcomeMatrix outcomes = PlantedOutcomes();
  ArrivalTrace trace;
  double at = 0;
  for (size_t i = 0; i < requests; ++i) {
    CounterRandom random(3, i);
    at += -std::log1p(-random.Uniform()) / 10;  // Poisson, 10 a second
    trace.at_s.push_back(at);
  }
  SimulationOptions options;
  options.budgets.emplace_back().set_amount(40);
  std::vector<double> rates;      // by wall time
  std::vector<double> cpu_rates;  // by CPU time: what a core gives that nobody else uses
  uint64_t digest = 0;
  uint64_t events = 0;
  for (size_t round = 0; round < rounds; ++round) {
    const auto started = std::chrono::steady_clock::now();
    const absl::Duration cpu_started = ThreadCpuTime();
    PENSTOCK_ASSIGN_OR_RETURN(const SimulationResult result, Simulate(trace, outcomes, options));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    const double cpu = absl::ToDoubleSeconds(ThreadCpuTime() - cpu_started);
    rates.push_back(static_cast<double>(requests) / took.count());
    cpu_rates.push_back(static_cast<double>(requests) / cpu);
    if (round > 0 && result.digest != digest) {
      return absl::InternalError("two equal runs had different digests");
    }
    digest = result.digest;
    events = result.events;
  }
  std::sort(rates.begin(), rates.end());
  std::sort(cpu_rates.begin(), cpu_rates.end());
  return nlohmann::ordered_json::array(
      {{{"question", "speed"},
        {"experts", kExperts},
        {"requests", requests},
        {"events", events},
        {"rounds", rounds},
        {"requests_per_second_per_core", rates[rates.size() / 2]},
        {"requests_per_second_per_core_least", rates.front()},
        {"requests_per_cpu_second", cpu_rates[cpu_rates.size() / 2]},
        {"digest", absl::StrCat(absl::Hex(digest, absl::kZeroPad16))}}});
}

}  // namespace penstock::router
