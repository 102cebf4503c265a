#include "router_service/exploration/explorer.h"

#include <cmath>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

// A pool whose quality model says 0.5 of everybody, and what is true.
class Bandit {
 public:
  Bandit(std::vector<double> joules, Explorer::Options options, uint64_t seed)
      : joules_(std::move(joules)), explorer_(joules_.size(), options), seed_(seed) {}

  // The option that this request takes; `truth` by expert: P(right).
  size_t Step(const std::vector<float>& z, const std::vector<double>& truth, double price = 0) {
    const size_t n = joules_.size();
    const std::vector<float> predicted(n, 0.5f), uncertainty(n, 0.0f);
    std::vector<float> quality = predicted, bonus(n);
    explorer_.Estimate(z, uncertainty, absl::MakeSpan(quality), absl::MakeSpan(bonus));
    std::vector<ExplorationOption> options;
    size_t best = 0;
    for (size_t i = 0; i < n; ++i) {
      options.push_back({i, quality[i] - price * joules_[i], bonus[i], joules_[i]});
      if (options[i].worth > options[best].worth) best = i;
    }
    best_ = best;
    last_ = explorer_.Choose("t", options, best, CounterRandom(seed_, next_));
    explorer_.Remember(next_, z, predicted);
    CounterRandom outcome(seed_ + 1000, next_);
    const double quality_got = outcome.Uniform() < truth[last_.option] ? 1 : 0;
    explorer_.Report(next_++, last_.option, quality_got);
    return last_.option;
  }

  Explorer& explorer() { return explorer_; }
  const ExplorationChoice& last() const { return last_; }
  size_t best() const { return best_; }

 private:
  const std::vector<double> joules_;
  Explorer explorer_;
  const uint64_t seed_;
  uint64_t next_ = 0;
  ExplorationChoice last_;
  size_t best_ = 0;
};

TEST(ExplorerTest, FindsTheBetterOfTwoArmsWithin500Pulls) {
  // Of 60 runs, by beta: little optimism now and then stays with the arm that began luckily.
  const auto found = [](double beta) {
    int runs = 0;
    for (uint64_t seed = 0; seed < 60; ++seed) {
      Bandit bandit({1, 1}, {.beta = beta, .dimension = 1}, seed);
      size_t better = 0;
      for (int pull = 0; pull < 500; ++pull) {
        const size_t arm = bandit.Step({}, {0.55, 0.8});
        better += pull >= 400 && arm == 1;
      }
      runs += better > 75;
    }
    return runs;
  };
  EXPECT_GE(found(0.3), 54);
  EXPECT_GE(found(1), 59);
}

TEST(ExplorerTest, LearnsWhoIsGoodAtWhat) {
  Bandit bandit({1, 1}, {.dimension = 8}, 3);
  CounterRandom random(4, 0);
  size_t right = 0;
  for (int pull = 0; pull < 3000; ++pull) {
    const bool first = random.Below(2) == 0;
    const std::vector<float> z = first ? std::vector<float>{1, 0} : std::vector<float>{0, 1};
    const size_t arm =
        bandit.Step(z, first ? std::vector<double>{.9, .3} : std::vector<double>{.3, .9});
    right += pull >= 2000 && arm == (first ? 0u : 1u);
  }
  EXPECT_GT(right, 950u);
}

TEST(ExplorerTest, WithKnownMeansTheChoiceIsThePrices) {
  Explorer explorer(3, {.beta = 0, .uniform = 0});
  CounterRandom random(6, 0);
  for (uint64_t i = 0; i < 200; ++i) {
    std::vector<ExplorationOption> options;
    size_t best = 0;
    for (size_t e = 0; e < 3; ++e) {
      options.push_back({e, random.Uniform(), 0, random.Uniform()});
      if (options[e].worth > options[best].worth) best = e;
    }
    const ExplorationChoice choice = explorer.Choose("t", options, best, CounterRandom(1, i));
    EXPECT_EQ(choice.option, best);
    EXPECT_EQ(choice.propensity, 1);
    EXPECT_FALSE(choice.explored);
  }
}

TEST(ExplorerTest, ExplorationTakesAtMostItsShareOfTheJoules) {
  // The dear arm is hoped to be better, and is not.
  for (const double share : {0.02, 0.1}) {
    Bandit bandit({1, 30}, {.beta = 3, .max_spend = share, .uniform = 0.05, .dimension = 4}, 11);
    size_t explored = 0;
    for (int pull = 0; pull < 20000; ++pull) {
      bandit.Step({}, {0.6, 0.6}, 0.001);
      explored += bandit.last().explored;
      const Explorer::Totals totals = bandit.explorer().totals();
      ASSERT_LE(totals.paid_j, share * totals.accrued_j + 1e-9);
    }
    EXPECT_GT(explored, 5u);
    EXPECT_GT(bandit.explorer().totals().paid_j, 0);
  }
}

TEST(ExplorerTest, PropensitiesAreTheFrequencies) {
  Explorer explorer(3, {.uniform = 0.3});
  const std::vector<ExplorationOption> options = {{0, .5, .1, 1}, {1, .6, .01, 1}, {2, .3, .4, .5}};
  std::vector<double> count(3, 0), told(3, 0);
  constexpr int kDraws = 20000;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const ExplorationChoice choice = explorer.Choose("t", options, 1, CounterRandom(5, i));
    ++count[choice.option];
    told[choice.option] = choice.propensity;
  }
  double sum = 0;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(count[i] / kDraws, told[i], 0.01) << i;
    sum += told[i];
  }
  EXPECT_NEAR(sum, 1, 1e-12);
  // Hopes decide: 2 may be worth .7.
  EXPECT_GT(told[2], 0.7);
}

TEST(ExplorerTest, WhatTheLedgerDoesNotCoverIsNoOption) {
  Explorer explorer(2, {.uniform = 0.5});
  const std::vector<ExplorationOption> options = {{0, .5, 0, 1}, {1, .5, 1, 1000}};
  for (uint64_t i = 0; i < 100; ++i) {
    const ExplorationChoice choice = explorer.Choose("t", options, 0, CounterRandom(5, i));
    EXPECT_EQ(choice.option, 0u);
    EXPECT_EQ(choice.propensity, 1);
  }
}

TEST(ExplorerTest, ReportsCountOnceAndForAWhile) {
  Explorer explorer(1, {.dimension = 1});
  const std::vector<float> predicted = {0.5f};
  const auto estimate = [&] {
    std::vector<float> quality = predicted, bonus(1);
    explorer.Estimate({}, std::vector<float>{0}, absl::MakeSpan(quality), absl::MakeSpan(bonus));
    return quality[0];
  };
  explorer.Report(7, 0, 1);
  EXPECT_EQ(explorer.totals().reports, 0u);
  explorer.Remember(7, {}, predicted);
  explorer.Report(7, 0, 1);
  explorer.Report(7, 0, 1);
  EXPECT_EQ(explorer.totals().reports, 1u);
  EXPECT_NEAR(estimate(), 0.75, 1e-3);  // half of .5, against a ridge of 1
  for (uint64_t i = 0; i <= Explorer::kPending; ++i) explorer.Remember(100 + i, {}, predicted);
  explorer.Report(100, 0, 1);
  EXPECT_EQ(explorer.totals().reports, 1u);
  explorer.Report(101, 0, 1);
  EXPECT_EQ(explorer.totals().reports, 2u);
  explorer.Reset();
  EXPECT_EQ(estimate(), 0.5f);
  explorer.Report(102, 0, 1);
  EXPECT_EQ(explorer.totals().reports, 2u);
}

TEST(ExplorerTest, EstimatesBesideReportsSeeWhatWasPublishedAndLoseNothing) {
  constexpr uint64_t kReports = 400;
  const std::vector<float> predicted = {0.5f, 0.5f}, uncertainty = {0.0f, 0.0f};
  const auto estimate = [&](const Explorer& explorer) {
    std::vector<float> quality = predicted, bonus(2);
    explorer.Estimate({}, uncertainty, absl::MakeSpan(quality), absl::MakeSpan(bonus));
    return std::pair(quality, bonus);
  };
  const Explorer::Options options{.forget = 1, .dimension = 4};
  Explorer in_order(2, options), beside(2, options);
  for (Explorer* const explorer : {&in_order, &beside}) {
    for (uint64_t i = 0; i < kReports; ++i) explorer->Remember(i, {}, predicted);
  }
  for (uint64_t i = 0; i < kReports; ++i) in_order.Report(i, i % 2, i % 2 == 0 ? 1 : 0);
  std::vector<std::thread> threads;
  for (uint64_t expert : {0, 1}) {
    threads.emplace_back([&, expert] {
      for (uint64_t i = expert; i < kReports; i += 2) beside.Report(i, expert, expert == 0 ? 1 : 0);
    });
  }
  // Better reports raise the first expert's estimate and no other's, whatever was published.
  float last = 0.5f;
  for (int i = 0; i < 200; ++i) {
    const auto [quality, bonus] = estimate(beside);
    EXPECT_GE(quality[0], last);
    EXPECT_LE(quality[1], 0.5f);
    last = quality[0];
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(beside.totals().reports, kReports);
  EXPECT_EQ(estimate(beside), estimate(in_order));
}

TEST(ExplorerTest, BonusFallsWithReports) {
  Explorer explorer(2, {.beta = 0.3, .dimension = 1});
  const std::vector<float> predicted = {0.5f, 0.5f}, uncertainty = {0.2f, 0.2f};
  for (uint64_t i = 0; i < 100; ++i) {
    explorer.Remember(i, {}, predicted);
    explorer.Report(i, 0, 0.5);
  }
  std::vector<float> quality = predicted, bonus(2);
  explorer.Estimate({}, uncertainty, absl::MakeSpan(quality), absl::MakeSpan(bonus));
  EXPECT_NEAR(bonus[1], 0.3 * (1 + 0.2), 1e-6);
  EXPECT_NEAR(bonus[0], 0.3 * (1 / std::sqrt(101.0) + 0.02), 0.003);
}

TEST(ExplorerTest, SettingsOutOfRangeNameTheField) {
  config::v1::Pool pool;
  pool.set_name("p");
  EXPECT_THAT(Explorer::Validate(pool), IsOk());
  pool.mutable_exploration();
  EXPECT_THAT(Explorer::Validate(pool), IsOk());
  pool.mutable_exploration()->set_max_spend(0.9);
  EXPECT_NE(Explorer::Validate(pool).message().find("exploration.max_spend is 0.9"),
            absl::string_view::npos);
  pool.mutable_exploration()->clear_max_spend();
  pool.mutable_exploration()->set_dimensions(1000);
  EXPECT_FALSE(Explorer::Validate(pool).ok());
  pool.mutable_exploration()->clear_dimensions();
  pool.set_granularity(config::v1::Pool::ROW);
  EXPECT_FALSE(Explorer::Validate(pool).ok());
  pool.clear_granularity();
  pool.mutable_gate()->mutable_random();
  EXPECT_FALSE(Explorer::Validate(pool).ok());
}

}  // namespace
}  // namespace penstock::router
