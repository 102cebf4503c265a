#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/selection/branch_and_bound.h"
#include "router_service/selection/selector.h"

namespace penstock::router {
namespace {

struct Instance {
  std::vector<SelectionCandidate> candidates;
  SelectionLimits limits;
};

// Small enough to try every set: up to 8 experts, up to 4 of them.
Instance Draw(uint64_t number) {
  CounterRandom random(2024, number);
  Instance instance;
  const size_t n = 1 + random.Below(8);
  for (size_t i = 0; i < n; ++i) {
    SelectionCandidate c;
    // Few different values, so that ties occur.
    c.score = static_cast<double>(random.Below(9)) / 8;
    c.quality = static_cast<double>(random.Below(9)) / 8;
    c.weight = random.Uniform();
    c.latency_s = c.idle_latency_s = 0.25 * static_cast<double>(1 + random.Below(4));
    c.energy_j = static_cast<double>(random.Below(12));
    if (random.Below(6) == 0) c.excluded = Exclusion::kUnhealthy;
    instance.candidates.push_back(c);
  }
  SelectionLimits& limits = instance.limits;
  limits.max_experts = 1 + random.Below(4);
  limits.value = 1 + static_cast<double>(random.Below(2));
  limits.price_per_joule = static_cast<double>(random.Below(4)) / 32;
  if (random.Below(2) == 0)
    limits.time_left_s = limits.latency_budget_s = 0.25 * (1.0 + random.Below(4));
  if (random.Below(3) != 0) limits.energy_cap_j = static_cast<double>(random.Below(24));
  if (random.Below(3) == 0) limits.min_quality = static_cast<double>(random.Below(9)) / 8;
  if (random.Below(4) == 0) limits.headroom_j = static_cast<double>(random.Below(16));
  limits.objective =
      static_cast<Objective>(std::max<int>(0, static_cast<int>(random.Below(5)) - 2));
  limits.degrade = random.Below(2) == 0;
  return instance;
}

// What the objective counts: larger is better.
std::optional<double> Worth(const Instance& instance, unsigned set, double joules,
                            double min_quality) {
  const SelectionLimits& limits = instance.limits;
  double net = 0, energy = 0, quality = 0, latency = 0;
  size_t count = 0;
  for (size_t i = 0; i < instance.candidates.size(); ++i) {
    if ((set >> i & 1) == 0) continue;
    const SelectionCandidate& c = instance.candidates[i];
    if (c.excluded != Exclusion::kNone) return std::nullopt;
    net += limits.value * c.score - limits.price_per_joule * c.energy_j;
    energy += c.energy_j;
    quality = std::max(quality, c.quality);
    latency = std::max(latency, c.latency_s);
    ++count;
  }
  if (count == 0 || count > limits.max_experts || latency > limits.time_left_s || energy > joules ||
      quality < min_quality) {
    return std::nullopt;
  }
  switch (limits.objective) {
    case Objective::kQuality:
      return net;
    case Objective::kEnergy:
      return -energy;
    case Objective::kLatency:
      return -latency;
  }
  return std::nullopt;
}

std::optional<double> BruteForce(const Instance& instance, double joules, double min_quality) {
  std::optional<double> best;
  for (unsigned set = 1; set < 1u << instance.candidates.size(); ++set) {
    const auto worth = Worth(instance, set, joules, min_quality);
    if (worth.has_value() && (!best.has_value() || *worth > *best)) best = worth;
  }
  return best;
}

unsigned SetOf(const SelectionResult& result) {
  unsigned set = 0;
  for (const SelectedExpert& chosen : result.chosen) set |= 1u << chosen.expert;
  return set;
}

TEST(SelectorOptimalityTest, EqualsTryingEverySet) {
  Selector selector;
  SelectionResult result;
  int chosen = 0, infeasible = 0, by_budget = 0, several = 0;
  for (uint64_t number = 0; number < 20'000; ++number) {
    const Instance instance = Draw(number);
    const SelectionLimits& limits = instance.limits;
    auto candidates = instance.candidates;
    selector.Select(absl::MakeSpan(candidates), limits, result);
    const auto best = BruteForce(instance, limits.energy_cap_j, limits.min_quality);
    if (!best.has_value()) {
      ++infeasible;
      EXPECT_NE(result.verdict, SelectionVerdict::kChosen) << number;
      EXPECT_EQ(result.chosen.empty(), result.verdict != SelectionVerdict::kDegraded) << number;
      continue;
    }
    ASSERT_FALSE(result.chosen.empty()) << number;
    EXPECT_TRUE(result.exact) << number;
    several += result.chosen.size() > 1 ? 1 : 0;
    if (result.verdict == SelectionVerdict::kChosen) {
      ++chosen;
      const auto worth = Worth(instance, SetOf(result), limits.energy_cap_j, limits.min_quality);
      ASSERT_TRUE(worth.has_value()) << number;
      EXPECT_NEAR(*worth, *best, 1e-9) << number;
      continue;
    }
    // Budgets do not cover it: the best that they cover, else the cheapest.
    ++by_budget;
    EXPECT_EQ(result.degraded, Degraded::kBudget) << number;
    const double joules = std::min(limits.energy_cap_j, limits.headroom_j);
    auto covered = BruteForce(instance, joules, limits.min_quality);
    double quality = limits.min_quality;
    if (!covered.has_value()) {
      covered = BruteForce(instance, joules, 0);
      quality = 0;
    }
    if (covered.has_value()) {
      const auto worth = Worth(instance, SetOf(result), joules, quality);
      ASSERT_TRUE(worth.has_value()) << number;
      EXPECT_NEAR(*worth, *covered, 1e-9) << number;
    } else {
      EXPECT_EQ(result.chosen.size(), 1u) << number;
    }
  }
  // The draw exercises every branch.
  EXPECT_GT(chosen, 5000);
  EXPECT_GT(infeasible, 2000);
  EXPECT_GT(by_budget, 500);
  EXPECT_GT(several, 3000);
}

TEST(SelectorOptimalityTest, EqualsTryingEveryPairOfManyUnderAJouleLimit) {
  // Joules grow with worth, so the two largest terms seldom fit together.
  Selector selector;
  SelectionResult result;
  int pairs = 0, infeasible = 0;
  for (uint64_t number = 0; number < 300; ++number) {
    CounterRandom random(5, number);
    Instance instance;
    for (size_t i = 0; i < 150; ++i) {
      SelectionCandidate c;
      c.score = static_cast<double>(random.Below(64)) / 64;
      c.quality = static_cast<double>(random.Below(64)) / 64;
      c.energy_j = c.score * (1 + random.Uniform()) + 0.01;
      if (random.Below(8) == 0) c.excluded = Exclusion::kUnhealthy;
      instance.candidates.push_back(c);
    }
    SelectionLimits& limits = instance.limits;
    limits.max_experts = 2;
    limits.price_per_joule = 0.25 * random.Uniform();
    limits.energy_cap_j = 1.5 * random.Uniform();
    if (random.Below(2) == 0) limits.min_quality = 0.9 + 0.1 * random.Uniform();
    double best = -1;
    size_t best_count = 0;
    const auto& all = instance.candidates;
    for (size_t a = 0; a < all.size(); ++a) {
      for (size_t b = a; b < all.size(); ++b) {
        const size_t count = a == b ? 1 : 2;
        if (all[a].excluded != Exclusion::kNone || all[b].excluded != Exclusion::kNone) continue;
        const double energy = all[a].energy_j + (count > 1 ? all[b].energy_j : 0);
        const double score = all[a].score + (count > 1 ? all[b].score : 0);
        const double net = score - limits.price_per_joule * energy;
        if (energy > limits.energy_cap_j || net <= best) continue;
        if (std::max(all[a].quality, all[b].quality) < limits.min_quality) continue;
        best = net;
        best_count = count;
      }
    }
    auto candidates = instance.candidates;
    selector.Select(absl::MakeSpan(candidates), limits, result);
    if (best_count == 0) {
      ++infeasible;
      EXPECT_TRUE(result.chosen.empty()) << number;
      continue;
    }
    ASSERT_FALSE(result.chosen.empty()) << number;
    EXPECT_NEAR(result.objective, best, 1e-9) << number;
    EXPECT_LE(result.energy_j, limits.energy_cap_j) << number;
    EXPECT_GE(result.quality, limits.min_quality) << number;
    pairs += best_count == 2 ? 1 : 0;
  }
  EXPECT_GT(pairs, 100);
  EXPECT_GT(infeasible, 5);
}

TEST(SelectorOptimalityTest, ALooserLimitIsNeverWorse) {
  Selector selector;
  SelectionResult tight, loose;
  for (uint64_t number = 0; number < 3000; ++number) {
    Instance instance = Draw(number);
    instance.limits.headroom_j = SelectionLimits::kNone;
    instance.limits.objective = Objective::kQuality;
    instance.limits.degrade = false;
    auto candidates = instance.candidates;
    selector.Select(absl::MakeSpan(candidates), instance.limits, tight);
    if (tight.chosen.empty()) continue;
    instance.limits.energy_cap_j += 3;
    candidates = instance.candidates;
    selector.Select(absl::MakeSpan(candidates), instance.limits, loose);
    ASSERT_FALSE(loose.chosen.empty()) << number;
    EXPECT_GE(loose.objective, tight.objective - 1e-9) << number;
  }
}

TEST(SelectorOptimalityTest, MeetsItsNodeLimitAndBoundsWhatItMissed) {
  // 64 experts, up to 8, joules close to proportional to worth: many sets are nearly the best.
  Selector selector;
  SelectionResult result;
  for (uint64_t number = 0; number < 50; ++number) {
    CounterRandom random(3, number);
    std::vector<SelectionCandidate> candidates(64);
    for (SelectionCandidate& c : candidates) {
      c.score = c.quality = 0.2 + 0.8 * random.Uniform();
      c.energy_j = c.score * (1 + 0.05 * random.Uniform());
    }
    SelectionLimits limits;
    limits.max_experts = 8;
    limits.energy_cap_j = 3.1;
    selector.Select(absl::MakeSpan(candidates), limits, result);
    EXPECT_LE(result.nodes, Selector::kNodeLimit);
    EXPECT_EQ(result.exact, result.gap == 0);
    EXPECT_LE(result.energy_j, 3.1);
    EXPECT_LE(result.chosen.size(), 8u);
    EXPECT_LE(result.gap, 0.02 * result.objective);
  }
}

TEST(BranchAndBoundTest, ItsGapCoversTheOptimum) {
  // Stopped after a few nodes, the value found plus the gap is still no less than the optimum.
  for (uint64_t number = 0; number < 2000; ++number) {
    CounterRandom random(4, number);
    std::vector<SubsetItem> items;
    for (uint32_t i = 0; i < 8; ++i) {
      items.push_back({i, random.Uniform(), random.Uniform(), random.Below(3) == 0});
    }
    const bool need_marked = random.Below(2) == 0;
    double best = -1;
    for (unsigned set = 1; set < 256; ++set) {
      double value = 0, energy = 0;
      int count = 0;
      bool marked = !need_marked;
      for (uint32_t i = 0; i < 8; ++i) {
        if ((set >> i & 1) == 0) continue;
        value += items[i].net;
        energy += items[i].energy_j;
        marked |= items[i].marked;
        ++count;
      }
      if (count <= 4 && energy <= 1.2 && marked) best = std::max(best, value);
    }
    if (best < 0) continue;
    std::vector<uint32_t> picked;
    BranchAndBound search;
    auto copy = items;
    const auto stopped =
        search.Solve(absl::MakeSpan(copy), 4, 1.2, need_marked, 1 + random.Below(20), picked);
    if (stopped.found) {
      EXPECT_GE(stopped.value + stopped.gap, best - 1e-9) << number;
    }
    copy = items;
    const auto solved = search.Solve(absl::MakeSpan(copy), 4, 1.2, need_marked, 2000, picked);
    EXPECT_NEAR(solved.value, best, 1e-9) << number;
    EXPECT_EQ(solved.gap, 0) << number;
  }
}

}  // namespace
}  // namespace penstock::router
