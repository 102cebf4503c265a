#include "bench/planning/set_cases.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "common/random.h"
#include "common/time/clock.h"
#include "common/time/thread_cpu.h"
#include "router_service/planning/class_planner.h"

namespace penstock::router {
namespace {

double Milliseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since)
      .count();
}

// Gamma(shape) for shape < 1: Marsaglia and Tsang's for shape + 1, boosted (ACM TOMS 26, 2000).
double Gamma(double shape, CounterRandom& random) {
  const double d = shape + 1 - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double normal =
        std::sqrt(-2 * std::log(1 - random.Uniform())) * std::cos(2 * M_PI * random.Uniform());
    const double v = std::pow(1 + c * normal, 3);
    if (v <= 0) continue;
    if (std::log(1 - random.Uniform()) < 0.5 * normal * normal + d - d * v + d * std::log(v)) {
      return d * v * std::pow(1 - random.Uniform(), 1 / shape);
    }
  }
}

nlohmann::ordered_json Measure(const Coverage& values, const ClassPlanRequest& request,
                               const SetSearchLimits& search) {
  const RealClock clock;
  const absl::Duration cpu_start = ThreadCpuTime();
  const auto start = std::chrono::steady_clock::now();
  const auto plan = PlanClass(values, request, search, clock);
  const double ms = Milliseconds(start);
  const double cpu_ms = absl::ToDoubleMilliseconds(ThreadCpuTime() - cpu_start);
  if (!plan.ok()) return {{"error", std::string(plan.status().message())}};
  return {{"value", plan->value},
          {"bound", plan->bound},
          {"gap_percent", 100 * plan->relative_gap()},
          {"ms", ms},
          {"cpu_ms", cpu_ms},
          {"nodes", plan->nodes},
          {"end", std::string(SearchEndName(plan->end))},
          {"experts", plan->experts.size()}};
}

}  // namespace

nlohmann::ordered_json RunHardInstance(uint64_t seed, const SetSearchLimits& search) {
  constexpr size_t kExperts = 24, kRows = 2048, kFits = 6;
  std::vector<double> values(kExperts * kRows);
  for (size_t x = 0; x < kRows; ++x) {
    CounterRandom random(seed, x);
    double sum = 0;
    for (size_t i = 0; i < kExperts; ++i) sum += values[i * kRows + x] = Gamma(0.1, random);
    for (size_t i = 0; i < kExperts; ++i) values[i * kRows + x] /= sum;
  }
  ClassPlanRequest request;
  request.costs.assign(kExperts, {1.0, 0.1});
  request.limits.k = 2;
  request.limits.energy_j = kFits;
  nlohmann::ordered_json result = Measure(Coverage(kExperts, kRows, values), request, search);
  result["seed"] = seed;
  return result;
}

nlohmann::ordered_json RunRealClass(const RoutingData& data, size_t experts, size_t rows,
                                    const SetSearchLimits& search) {
  rows = std::min(rows, data.rows());
  std::vector<double> quality;
  std::vector<ExpertCost> costs;
  for (size_t i = 0; i < data.models.size() && costs.size() < experts; ++i) {
    const auto at = [&](const std::vector<double>& of, size_t x) {
      return of[i * data.rows() + x * data.rows() / rows];
    };
    double joules = 0;
    std::vector<double> column, seconds;
    for (size_t x = 0; x < rows; ++x) {
      column.push_back(at(data.score, x));
      joules += at(data.joules, x) / static_cast<double>(rows);
      seconds.push_back(at(data.seconds, x));
    }
    if (std::any_of(column.begin(), column.end(), [](double v) { return std::isnan(v); })) continue;
    const size_t q95 = seconds.size() * 95 / 100;
    std::nth_element(seconds.begin(), seconds.begin() + static_cast<std::ptrdiff_t>(q95),
                     seconds.end());
    quality.insert(quality.end(), column.begin(), column.end());
    costs.push_back({joules, seconds[q95]});
  }
  const std::vector<double> shares = ResponsibilityShares(quality, costs.size(), rows);
  double all = 0, slowest = 0;
  for (const ExpertCost& cost : costs) {
    all += cost.energy_j;
    slowest = std::max(slowest, cost.latency_s);
  }
  nlohmann::ordered_json result = nlohmann::ordered_json::array();
  for (const bool responsibility : {true, false}) {
    const Coverage values(costs.size(), rows, responsibility ? shares : quality);
    for (const SetSemantics semantics : {SetSemantics::kEnsemble, SetSemantics::kPool}) {
      for (const size_t k : {1, 2, 3}) {
        for (const double share : {0.1, 0.25, 0.5, 0.75}) {
          ClassPlanRequest request;
          request.costs = costs;
          request.limits.k = k;
          request.limits.semantics = semantics;
          const double scale = semantics == SetSemantics::kPool
                                   ? static_cast<double>(k) / static_cast<double>(costs.size())
                                   : 1.0;
          request.limits.energy_j =
              share * all * scale * (semantics == SetSemantics::kPool ? 2 : 1);
          request.limits.latency_s = 0.8 * slowest;
          nlohmann::ordered_json one = Measure(values, request, search);
          one["of"] = costs.size();
          one["values"] = responsibility ? "responsibility" : "quality";
          one["semantics"] = std::string(SetSemanticsName(semantics));
          one["k"] = k;
          one["energy_share"] = share;
          result.push_back(std::move(one));
        }
      }
    }
  }
  return result;
}

}  // namespace penstock::router
