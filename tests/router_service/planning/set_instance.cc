#include "tests/router_service/planning/set_instance.h"

#include <algorithm>
#include <functional>

#include "common/random.h"

namespace penstock::router {

SetInstance RandomInstance(uint64_t seed) {
  CounterRandom random(seed, 0);
  SetInstance instance;
  const size_t experts = 3 + random.Below(10);
  instance.rows = 1 + random.Below(40);
  const bool equal_costs = random.Below(5) == 0;
  const bool specialists = random.Below(2) == 0;
  double all_energy = 0, slowest = 0;
  for (size_t i = 0; i < experts; ++i) {
    const double energy = equal_costs ? 1.0 : 0.2 + 5 * random.Uniform();
    const double latency = 0.1 + random.Uniform();
    instance.request.costs.push_back({energy, latency});
    all_energy += energy;
    slowest = std::max(slowest, latency);
    for (size_t x = 0; x < instance.rows; ++x) {
      const double v = random.Uniform();
      instance.values.push_back(specialists ? v * v * v * v : v);
    }
  }
  SetLimits& limits = instance.request.limits;
  limits.k = 1 + random.Below(3);
  if (random.Below(3) == 0) limits.semantics = SetSemantics::kPool;
  const double scale = limits.semantics == SetSemantics::kPool
                           ? static_cast<double>(limits.k) / static_cast<double>(experts)
                           : 1.0;
  limits.energy_j = all_energy * scale * (0.1 + 0.8 * random.Uniform());
  limits.latency_s = slowest * (0.4 + 0.7 * random.Uniform());
  if (random.Below(3) == 0) {
    limits.combine_j = 0.2 * random.Uniform();
    limits.combine_s = 0.05 * random.Uniform();
    limits.combine_each_s = 0.1 * random.Uniform();
  }
  if (random.Below(4) == 0) instance.request.forbidden = {random.Below(experts - 1)};
  if (random.Below(4) == 0) instance.request.required = {experts - 1};
  return instance;
}

std::vector<size_t> MembersOf(uint64_t mask) {
  std::vector<size_t> set;
  for (size_t i = 0; i < 64; ++i) {
    if ((mask >> i & 1) != 0) set.push_back(i);
  }
  return set;
}

double SetValue(const SetInstance& instance, const std::vector<size_t>& set) {
  double sum = 0;
  for (size_t x = 0; x < instance.rows; ++x) {
    std::vector<double> row;
    for (const size_t i : set) row.push_back(instance.values[i * instance.rows + x]);
    std::sort(row.begin(), row.end(), std::greater<>());
    for (size_t j = 0; j < std::min(instance.request.limits.k, row.size()); ++j) sum += row[j];
  }
  return sum / static_cast<double>(instance.rows);
}

double SetEnergyJ(const SetInstance& instance, const std::vector<size_t>& set) {
  const SetLimits& limits = instance.request.limits;
  std::vector<double> energies;
  for (const size_t i : set) energies.push_back(instance.request.costs[i].energy_j);
  std::sort(energies.begin(), energies.end(), std::greater<>());
  if (limits.semantics == SetSemantics::kPool) energies.resize(std::min(energies.size(), limits.k));
  double sum = 0;
  for (const double energy : energies) sum += energy + limits.combine_j;
  return sum;
}

double SetLatencyS(const SetInstance& instance, const std::vector<size_t>& set) {
  if (set.empty()) return 0;
  const SetLimits& limits = instance.request.limits;
  double slowest = 0;
  for (const size_t i : set) slowest = std::max(slowest, instance.request.costs[i].latency_s);
  return slowest + limits.combine_s + limits.combine_each_s * static_cast<double>(set.size());
}

bool Admissible(const SetInstance& instance, const std::vector<size_t>& set) {
  const auto has = [&set](size_t i) { return std::find(set.begin(), set.end(), i) != set.end(); };
  const ClassPlanRequest& request = instance.request;
  if (!std::all_of(request.required.begin(), request.required.end(), has)) return false;
  if (std::any_of(request.forbidden.begin(), request.forbidden.end(), has)) return false;
  // 1e-12: sums of equal costs in another order.
  return SetEnergyJ(instance, set) <= request.limits.energy_j * (1 + 1e-12) &&
         SetLatencyS(instance, set) <= request.limits.latency_s * (1 + 1e-12);
}

double BestByEnumeration(const SetInstance& instance) {
  double best = -1;
  for (uint64_t mask = 0; mask < uint64_t{1} << instance.request.costs.size(); ++mask) {
    const std::vector<size_t> set = MembersOf(mask);
    if (Admissible(instance, set)) best = std::max(best, SetValue(instance, set));
  }
  return best;
}

}  // namespace penstock::router
