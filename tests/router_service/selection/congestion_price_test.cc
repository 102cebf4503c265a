#include "router_service/selection/congestion_price.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// A pool under constant load: a request ends, another one is decided.
class Loop {
 public:
  Loop(std::vector<double> mean, std::vector<double> slots, double max_utilisation, double noise)
      : mean_(std::move(mean)),
        slots_(std::move(slots)),
        noise_(noise),
        price_(mean_.size(), max_utilisation),
        load_(mean_.size(), 0) {}

  // Mean utilisation by expert over the last half of `requests` decisions with `running` at once.
  std::vector<double> Run(size_t running, size_t requests, bool priced) {
    std::vector<double> sum(mean_.size(), 0);
    std::vector<size_t> of_request;
    CounterRandom random(8, priced);
    for (size_t request = 0; request < requests; ++request) {
      if (of_request.size() == running) {
        const size_t ends = random.Below(running);
        --load_[of_request[ends]];
        of_request.erase(of_request.begin() + static_cast<std::ptrdiff_t>(ends));
      }
      std::vector<double> worth(mean_.size()), of_load(mean_.size(), 0);
      for (size_t i = 0; i < worth.size(); ++i) {
        worth[i] = mean_[i] - noise_ * std::log(-std::log(random.Uniform() + 1e-300));
      }
      if (priced) price_.Price(load_, slots_, absl::MakeSpan(of_load));
      size_t best = 0;
      for (size_t i = 1; i < worth.size(); ++i) {
        if (worth[i] - of_load[i] > worth[best] - of_load[best]) best = i;
      }
      price_.Record(worth, load_, slots_);
      ++load_[best];
      of_request.push_back(best);
      if (request < requests / 2) continue;
      for (size_t i = 0; i < sum.size(); ++i) {
        sum[i] += 2 * load_[i] / slots_[i] / static_cast<double>(requests);
      }
    }
    return sum;
  }

  const CongestionPrice& price() const { return price_; }

 private:
  const std::vector<double> mean_, slots_;
  const double noise_;
  CongestionPrice price_;
  std::vector<double> load_;
};

TEST(CongestionPriceTest, KeepsTheBusiestExpertToTheTarget) {
  const std::vector<double> mean = {0.8, 0.7, 0.6}, slots = {40, 40, 40};
  const auto free = Loop(mean, slots, 0.6, 0.1).Run(60, 8000, false);
  EXPECT_GT(free[0], 0.8);
  Loop loop(mean, slots, 0.6, 0.1);
  const auto kept = loop.Run(60, 8000, true);
  EXPECT_LT(kept[0], 0.63);
  // No more than that is asked: the best expert still has the most.
  EXPECT_GT(kept[0], 0.55);
  EXPECT_GT(kept[0], kept[1]);
  EXPECT_GT(kept[1], kept[2]);
  EXPECT_NEAR(loop.price().figures().noise, 0.1, 0.02);
  // Observed shares follow from the price that was asked.
  const CongestionPrice::Figures figures = loop.price().figures();
  EXPECT_GT(figures.gamma_effective, 0.4 * figures.gamma);
  EXPECT_LT(figures.gamma_effective, 2.5 * figures.gamma);
}

TEST(CongestionPriceTest, FollowsTheSlots) {
  const auto kept = Loop({0.8, 0.8}, {10, 70}, 0.7, 0.05).Run(40, 8000, true);
  EXPECT_LT(kept[0], 0.8);
  EXPECT_LT(kept[1], 0.7);
}

TEST(CongestionPriceTest, EqualsShareTheLoadEvenWithoutNoise) {
  const auto kept = Loop({0.8, 0.8, 0.8, 0.8}, {20, 20, 20, 20}, 0.5, 0).Run(20, 4000, true);
  for (const double utilisation : kept) EXPECT_NEAR(utilisation, 0.25, 0.02);
}

TEST(CongestionPriceTest, TakesNextToNothingWhileTheTargetIsKeptAnyway) {
  Loop loop({0.8, 0.7, 0.6}, {400, 400, 400}, 0.6, 0.1);
  const auto kept = loop.Run(60, 4000, true);
  const auto free = Loop({0.8, 0.7, 0.6}, {400, 400, 400}, 0.6, 0.1).Run(60, 4000, false);
  EXPECT_NEAR(kept[0], free[0], 0.01);
  EXPECT_LT(loop.price().figures().gamma, 0.01);
}

TEST(CongestionPriceTest, OverTheLimitTheLoadIsAboutEven) {
  const auto kept = Loop({0.9, 0.5}, {10, 10}, 0.5, 0.05).Run(18, 8000, true);
  EXPECT_NEAR(kept[0], kept[1], 0.1);
}

TEST(CongestionPriceTest, WhoCannotRunHasNoPriceAndDoesNotCount) {
  CongestionPrice price(3, 0.5);
  const std::vector<double> load = {5, 0, 3}, slots = {10, 0, 10};
  for (int i = 0; i < 64; ++i) price.Record(std::vector<double>{0.9, kNaN, 0.5}, load, slots);
  std::vector<double> of_load(3, -1);
  price.Price(load, slots, absl::MakeSpan(of_load));
  EXPECT_EQ(of_load[1], 0);
  EXPECT_GT(of_load[0], of_load[2]);
  // 5 of 8 in half of the slots, against 3 of 8 in the other half.
  EXPECT_NEAR(of_load[0] / of_load[2], 5.0 / 3, 1e-9);
}

TEST(CongestionPriceTest, FitsBesideDecisionsOfOthersEndWhereThoseDo) {
  const std::vector<double> worth = {0.9, 0.5}, load = {8, 2}, slots = {10, 10};
  CongestionPrice alone(2, 0.6), beside(2, 0.6);
  for (int i = 0; i < 8192; ++i) alone.Record(worth, load, slots);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2048; ++i) beside.Record(worth, load, slots);
    });
  }
  for (std::thread& thread : threads) thread.join();
  // The last fit of all, by one thread: one may have been left out.
  for (int i = 0; i < 32; ++i) beside.Record(worth, load, slots);
  EXPECT_NEAR(beside.figures().gamma, alone.figures().gamma, 1e-9);
  EXPECT_NEAR(beside.figures().noise, alone.figures().noise, 1e-12);
  EXPECT_GT(beside.figures().gamma_effective, 0);
}

TEST(CongestionPriceTest, NothingRunsNothingCosts) {
  CongestionPrice price(2, 0.5);
  std::vector<double> of_load(2, -1);
  price.Price(std::vector<double>{0, 0}, std::vector<double>{4, 4}, absl::MakeSpan(of_load));
  EXPECT_EQ(of_load[0], 0);
  EXPECT_EQ(of_load[1], 0);
}

}  // namespace
}  // namespace penstock::router
