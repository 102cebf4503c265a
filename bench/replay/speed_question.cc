#include "bench/replay/speed_question.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "common/time/thread_cpu.h"
#include "router_service/simulation/simulation.h"
#include "router_service/simulation/token_steps/token_simulation.h"

namespace penstock::router {
namespace {

using Json = nlohmann::ordered_json;

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
      cell.tokens = std::ceil(40 * cell.seconds);
      cell.predicted_tokens = 200;
      outcomes.cells.push_back(cell);
    }
  }
  return outcomes;
}

ArrivalTrace PoissonArrivals(size_t requests, double per_second) {
  ArrivalTrace trace;
  double at = 0;
  for (size_t i = 0; i < requests; ++i) {
    at += -std::log1p(-CounterRandom(3, i).Uniform()) / per_second;
    trace.at_s.push_back(at);
  }
  return trace;
}

// How fast `run` simulates so many requests, as a row: median of the rounds, by wall time and by
// CPU time, which is what a core gives that nobody else uses.
template <typename RunOnce>
absl::StatusOr<Json> Measure(const char* question, size_t requests, size_t rounds,
                             const RunOnce& run) {
  std::vector<double> rates, cpu_rates;
  uint64_t digest = 0;
  uint64_t events = 0;
  for (size_t round = 0; round < rounds; ++round) {
    const auto started = std::chrono::steady_clock::now();
    const absl::Duration cpu_started = ThreadCpuTime();
    PENSTOCK_ASSIGN_OR_RETURN(const auto result, run());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    const double cpu = absl::ToDoubleSeconds(ThreadCpuTime() - cpu_started);
    rates.push_back(static_cast<double>(requests) / took.count());
    cpu_rates.push_back(static_cast<double>(requests) / cpu);
    if (round > 0 && result.digest != digest) {
      return absl::InternalError(absl::StrCat(question, ": two equal runs had different digests"));
    }
    digest = result.digest;
    events = result.events;
  }
  std::sort(rates.begin(), rates.end());
  std::sort(cpu_rates.begin(), cpu_rates.end());
  return Json{{"question", question},
              {"experts", kExperts},
              {"requests", requests},
              {"events", events},
              {"rounds", rounds},
              {"requests_per_second_per_core", rates[rates.size() / 2]},
              {"requests_per_second_per_core_least", rates.front()},
              {"requests_per_cpu_second", cpu_rates[cpu_rates.size() / 2]},
              {"digest", absl::StrCat(absl::Hex(digest, absl::kZeroPad16))}};
}

// Deadlines at 70 % of the capacity of as many experts, in token steps.
absl::StatusOr<Json> TokenStepSpeed(const OutcomeMatrix& outcomes, size_t requests, size_t rounds) {
  std::vector<TokenProfile> profiles;
  for (const std::string& expert : outcomes.experts) {
    TokenProfile& profile = profiles.emplace_back();
    profile.name = expert;
    profile.batch_limit = 32;
    profile.steps = {{1, 0.015, 20}, {32, 0.02, 38}};
    profile.prefills = {{128, 0.02}, {2048, 0.2}};
  }
  const DeadlineDraw draw{.unit_s = MeanUnloadedSeconds(outcomes, profiles).front()};
  const std::vector<TokenArrival> arrivals = DrawArrivals(
      PoissonArrivals(requests, 0.7 * PoolCapacity(outcomes, profiles)), outcomes.rows(), draw, 1);
  return Measure("token_step_speed", requests, rounds,
                 [&] { return SimulateTokenSteps(arrivals, outcomes, profiles, {}); });
}

}  // namespace

absl::StatusOr<Json> SpeedQuestion(size_t requests, size_t rounds) {
  const OutcomeMatrix outcomes = PlantedOutcomes();
  const ArrivalTrace trace = PoissonArrivals(requests, 10);
  SimulationOptions options;
  options.budgets.emplace_back().set_amount(40);
  PENSTOCK_ASSIGN_OR_RETURN(Json row, Measure("speed", requests, rounds,
                                              [&] { return Simulate(trace, outcomes, options); }));
  PENSTOCK_ASSIGN_OR_RETURN(Json steps, TokenStepSpeed(outcomes, requests, rounds));
  Json rows = Json::array();
  rows.push_back(std::move(row));
  rows.push_back(std::move(steps));
  return rows;
}

}  // namespace penstock::router
