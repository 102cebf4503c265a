#include "router_service/selection/counterfactual.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/selection/first_answer.h"

namespace penstock::router {
namespace {

constexpr double kInfinity = SelectionLimits::kNone;
constexpr LimitName kLimits[] = {LimitName::kEnergyCap, LimitName::kHeadroom, LimitName::kTimeLeft,
                                 LimitName::kPrice, LimitName::kMinQuality};

struct Case {
  CandidateColumns candidates;
  SelectionLimits limits;
  std::optional<uint32_t> first;
};

double& Field(LimitName name, SelectionLimits& limits) {
  switch (name) {
    case LimitName::kEnergyCap:
      return limits.energy_cap_j;
    case LimitName::kHeadroom:
      return limits.headroom_j;
    case LimitName::kTimeLeft:
      return limits.time_left_s;
    case LimitName::kPrice:
      return limits.price_per_joule;
    default:
      return limits.min_quality;
  }
}

SelectionResult Select(const Case& c, const SelectionLimits& limits) {
  Selector selector;
  std::vector<Exclusion> excluded(c.candidates.excluded().begin(), c.candidates.excluded().end());
  SelectionResult result;
  SelectFirst(selector, c.candidates, limits, c.first, absl::MakeSpan(excluded), result);
  return result;
}

std::vector<size_t> Experts(const SelectionResult& result) {
  std::vector<size_t> experts;
  for (const SelectedExpert& chosen : result.chosen) experts.push_back(chosen.expert);
  std::sort(experts.begin(), experts.end());
  return experts;
}

std::vector<size_t> At(const Case& c, LimitName name, double value) {
  SelectionLimits limits = c.limits;
  Field(name, limits) = value;
  return Experts(Select(c, limits));
}

// Joules are eighths, so that sums are exact and ties occur.
Case Draw(uint64_t number) {
  CounterRandom random(77, number);
  Case c;
  const size_t experts = 1 + random.Below(6);
  c.candidates = CandidateColumns(experts);
  for (size_t i = 0; i < experts; ++i) {
    SelectionCandidate candidate;
    candidate.score =
        random.Below(3) == 0 ? 0.125 * static_cast<double>(1 + random.Below(8)) : random.Uniform();
    candidate.quality = random.Below(2) == 0 ? candidate.score : random.Uniform();
    candidate.weight = random.Uniform();
    candidate.latency_s = candidate.idle_latency_s =
        0.125 * static_cast<double>(1 + random.Below(9));
    candidate.energy_j = 0.125 * static_cast<double>(1 + random.Below(40));
    if (random.Below(9) == 0) candidate.excluded = Exclusion::kUnhealthy;
    c.candidates.Set(i, candidate);
  }
  SelectionLimits& limits = c.limits;
  limits.max_experts = 1 + random.Below(3);
  limits.price_per_joule = random.Below(4) == 0 ? 0 : 0.3 * random.Uniform();
  if (random.Below(2) == 0) limits.time_left_s = limits.latency_budget_s = 1.25 * random.Uniform();
  if (random.Below(2) == 0) limits.energy_cap_j = 10 * random.Uniform();
  if (random.Below(2) == 0) limits.headroom_j = 8 * random.Uniform();
  if (random.Below(3) == 0) limits.min_quality = random.Uniform();
  limits.degrade = random.Below(2) == 0;
  limits.objective = static_cast<Objective>(random.Below(5) < 3 ? 0 : 1 + random.Below(2));
  if (random.Below(6) == 0) c.first = static_cast<uint32_t>(random.Below(experts));
  return c;
}

// Values of a limit where the selector's answer may change, a little to both sides of each, and an
// even grid.
std::vector<double> Grid(const Case& c, LimitName name) {
  std::vector<double> edges = {0};
  const size_t experts = c.candidates.size();
  struct Sum {
    double joules = 0, score = 0;
  };
  std::vector<Sum> sets(size_t{1} << experts);
  for (size_t set = 0; set < sets.size(); ++set) {
    for (size_t i = 0; i < experts; ++i) {
      if ((set >> i & 1) == 0) continue;
      sets[set].joules += c.candidates.energy_j()[i];
      sets[set].score += c.candidates.score()[i];
    }
  }
  if (name == LimitName::kPrice) {
    for (const Sum& a : sets) {
      for (const Sum& b : sets) {
        const double crossing = (a.score - b.score) / (a.joules - b.joules);
        if (crossing > 0 && std::isfinite(crossing)) edges.push_back(crossing);
      }
    }
  } else if (name == LimitName::kTimeLeft) {
    edges.insert(edges.end(), c.candidates.latency_s().begin(), c.candidates.latency_s().end());
  } else if (name == LimitName::kMinQuality) {
    edges.insert(edges.end(), c.candidates.quality().begin(), c.candidates.quality().end());
  } else {
    for (const Sum& sum : sets) edges.push_back(sum.joules);
  }
  std::vector<double> grid;
  for (const double edge : edges) {
    for (const double near : {edge * (1 - 1e-9), edge, edge * (1 + 1e-9) + 1e-12}) {
      // At a crossing of prices itself rounding decides.
      if (name != LimitName::kPrice || near != edge || edge == 0) grid.push_back(near);
    }
  }
  const double most = name == LimitName::kMinQuality ? 1 : name == LimitName::kPrice ? 2 : 20;
  for (int i = 0; i <= 200; ++i) grid.push_back(most * i / 200);
  if (name == LimitName::kMinQuality) {
    grid.erase(std::remove_if(grid.begin(), grid.end(), [](double q) { return q > 1; }),
               grid.end());
  } else if (name != LimitName::kPrice) {
    grid.push_back(kInfinity);
  }
  return grid;
}

TEST(CounterfactualsTest, AreTheNearestChangesOfAGridOfLimits) {
  size_t found = 0, absent = 0;
  for (uint64_t number = 0; number < 400; ++number) {
    const Case c = Draw(number);
    const SelectionResult selection = Select(c, c.limits);
    const std::vector<size_t> present = Experts(selection);
    const std::vector<Counterfactual> all =
        Counterfactuals(c.candidates, c.limits, c.first, selection);
    for (const LimitName name : kLimits) {
      SelectionLimits limits = c.limits;
      const double now = Field(name, limits);
      const std::vector<double> grid = Grid(c, name);
      for (const bool more : {true, false}) {
        const auto is = [&](const Counterfactual& one) {
          return one.limit == name && one.more == more;
        };
        ASSERT_LE(std::count_if(all.begin(), all.end(), is), 1);
        const auto one = std::find_if(all.begin(), all.end(), is);
        const auto where = [&](double value) {
          return testing::Message()
                 << "pool " << number << ", limit " << static_cast<int>(name)
                 << (more ? " up" : " down") << " from " << now << " at " << value;
        };
        ++(one == all.end() ? absent : found);
        if (one != all.end()) {
          EXPECT_EQ(one->present, now);
          const double beyond = std::nextafter(one->bound, more ? kInfinity : -1);
          const double first_other = one->exclusive ? beyond : one->bound;
          EXPECT_NE(Experts(one->selection), present) << where(one->bound);
          EXPECT_EQ(At(c, name, first_other), Experts(one->selection)) << where(first_other);
          const double last_same =
              one->exclusive ? one->bound : std::nextafter(one->bound, more ? -1 : kInfinity);
          EXPECT_EQ(At(c, name, last_same), present) << where(last_same);
        }
        for (const double value : grid) {
          if (!(more ? value > now : value < now)) continue;
          const bool nearer = one == all.end() || (more ? value < one->bound : value > one->bound);
          if (!nearer) continue;
          EXPECT_EQ(At(c, name, value), present) << where(value);
        }
      }
    }
  }
  EXPECT_GT(found, 800u);
  EXPECT_GT(absent, 500u);
}

TEST(CounterfactualsTest, OfALargePoolAreFoundInABoundedNumberOfSelections) {
  size_t found = 0;
  for (uint64_t number = 0; number < 40; ++number) {
    CounterRandom random(78, number);
    constexpr size_t kExperts = 1000;
    Case c;
    c.candidates = CandidateColumns(kExperts);
    for (size_t i = 0; i < kExperts; ++i) {
      SelectionCandidate candidate;
      candidate.score = candidate.quality = random.Uniform();
      candidate.weight = random.Uniform();
      candidate.latency_s = candidate.idle_latency_s = 0.01 + random.Uniform();
      candidate.energy_j = 0.01 + 2 * random.Uniform();
      c.candidates.Set(i, candidate);
    }
    c.limits.price_per_joule = 0.1 * random.Uniform();
    c.limits.time_left_s = c.limits.latency_budget_s = random.Uniform();
    c.limits.energy_cap_j = 2 * random.Uniform();
    const SelectionResult selection = Select(c, c.limits);
    const std::vector<size_t> present = Experts(selection);
    size_t selections = 0;
    const auto all = Counterfactuals(c.candidates, c.limits, c.first, selection, &selections);
    EXPECT_LT(selections, 1500u);
    // With one expert to choose a choice once left does not come back, so they are the nearest.
    for (const Counterfactual& one : all) {
      if (one.limit != LimitName::kTimeLeft && one.limit != LimitName::kEnergyCap) continue;
      ++found;
      const auto figures =
          one.limit == LimitName::kTimeLeft ? c.candidates.latency_s() : c.candidates.energy_j();
      EXPECT_NE(Experts(one.selection), present);
      const double other =
          one.exclusive ? std::nextafter(one.bound, one.more ? kInfinity : -1) : one.bound;
      EXPECT_NE(At(c, one.limit, other), present) << "pool " << number;
      for (const double figure : figures) {
        for (const double value : {std::nextafter(figure, -1), figure}) {
          const bool between = one.more ? value > one.present && value < other
                                        : value < one.present && value > other;
          if (!between) continue;
          EXPECT_EQ(At(c, one.limit, value), present) << "pool " << number;
        }
      }
    }
  }
  EXPECT_GT(found, 100u);
}

class TwoExperts : public testing::Test {
 protected:
  TwoExperts() {
    candidates_.Set(0, {0.7, 0.7, 0.5, 0.002, 0.002, 1, Exclusion::kNone});
    candidates_.Set(1, {0.9, 0.9, 0.5, 0.010, 0.010, 3, Exclusion::kNone});
  }

  std::optional<Counterfactual> Find(LimitName name, bool more,
                                     std::optional<uint32_t> first = std::nullopt) {
    const Case c{candidates_, limits_, first};
    for (const Counterfactual& one :
         Counterfactuals(candidates_, limits_, first, Select(c, limits_))) {
      if (one.limit == name && one.more == more) return one;
    }
    return std::nullopt;
  }

  CandidateColumns candidates_{2};
  SelectionLimits limits_;
};

TEST_F(TwoExperts, ACapThatKeepsTheBetterAwayNamesItsJoules) {
  limits_.energy_cap_j = 2;
  const auto more = Find(LimitName::kEnergyCap, true);
  ASSERT_TRUE(more.has_value());
  EXPECT_EQ(more->bound, 3);
  EXPECT_FALSE(more->exclusive);
  EXPECT_EQ(Experts(more->selection), std::vector<size_t>{1});
  const auto less = Find(LimitName::kEnergyCap, false);
  ASSERT_TRUE(less.has_value());
  EXPECT_EQ(less->bound, 1);
  EXPECT_TRUE(less->exclusive);
  EXPECT_TRUE(less->selection.chosen.empty());
  EXPECT_EQ(less->selection.verdict, SelectionVerdict::kInfeasible);
}

TEST_F(TwoExperts, APriceChangesTheChoiceWhereTheGainIsWorthTheJoules) {
  limits_.price_per_joule = 0.15;  // 0.2 of quality for 2 J more: 0.1 a joule
  const auto less = Find(LimitName::kPrice, false);
  ASSERT_TRUE(less.has_value());
  EXPECT_NEAR(less->bound, 0.1, 1e-12);
  EXPECT_EQ(Experts(less->selection), std::vector<size_t>{1});
  EXPECT_FALSE(Find(LimitName::kPrice, true).has_value());
}

TEST_F(TwoExperts, TimeAndAPromiseOfQualityTakeEffectAtAnExpertsFigures) {
  limits_.time_left_s = 0.005;
  const auto more = Find(LimitName::kTimeLeft, true);
  ASSERT_TRUE(more.has_value());
  EXPECT_EQ(more->bound, 0.010);
  limits_.time_left_s = kInfinity;
  limits_.price_per_joule = 0.15;
  const auto better = Find(LimitName::kMinQuality, true);
  ASSERT_TRUE(better.has_value());
  EXPECT_EQ(better->bound, 0.7);
  EXPECT_TRUE(better->exclusive);
  EXPECT_EQ(Experts(better->selection), std::vector<size_t>{1});
}

TEST_F(TwoExperts, ACascadesFirstAnswerIsNoMatterOfPriceOrHeadroom) {
  limits_.headroom_j = 2;
  EXPECT_FALSE(Find(LimitName::kPrice, true, 0).has_value());
  EXPECT_FALSE(Find(LimitName::kHeadroom, true, 0).has_value());
  const auto promise = Find(LimitName::kMinQuality, true, 1);
  EXPECT_TRUE(promise.has_value()) << "a promise of quality is for the selector";
}

}  // namespace
}  // namespace penstock::router
