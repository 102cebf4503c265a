#include "router_service/replicas/share_budget.h"

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(ShareBudgetTest, StartsEmptyAndPaysOneForTwenty) {
  ShareBudget budget(0.05, 10);
  EXPECT_FALSE(budget.TryTake());
  for (int i = 0; i < 19; ++i) budget.Earn();
  EXPECT_FALSE(budget.TryTake());
  budget.Earn();
  EXPECT_TRUE(budget.TryTake());
  EXPECT_FALSE(budget.TryTake());
}

TEST(ShareBudgetTest, KeepsNoMoreThanItsMost) {
  ShareBudget budget(0.5, 3);
  for (int i = 0; i < 1000; ++i) budget.Earn();
  int taken = 0;
  while (budget.TryTake()) ++taken;
  EXPECT_EQ(taken, 3);
}

TEST(ShareBudgetTest, TakesAtMostItsShareAtAnyMomentAndItsMostMoreInAnyStretch) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    CounterRandom random(seed, 0);
    // To a millionth, as the budget has it.
    const double share = static_cast<double>(1 + random.Below(1'000'000)) / 1e6;
    const double most = static_cast<double>(1 + random.Below(20));
    ShareBudget budget(share, most);
    std::vector<double> earned = {0}, taken = {0};  // by step
    for (int step = 0; step < 400; ++step) {
      const double eager = random.Uniform();
      bool took = false;
      bool paid = false;
      if (random.Uniform() < eager) {
        took = budget.TryTake();
      } else {
        budget.Earn();
        paid = true;
      }
      earned.push_back(earned.back() + (paid ? share : 0));
      taken.push_back(taken.back() + (took ? 1 : 0));
      ASSERT_LE(taken.back(), earned.back() + 1e-6) << "step " << step;
    }
    for (size_t from = 0; from < taken.size(); from += 7) {
      for (size_t to = from; to < taken.size(); to += 5) {
        ASSERT_LE(taken[to] - taken[from], most + earned[to] - earned[from] + 1e-6)
            << from << " to " << to;
      }
    }
  }
}

TEST(ShareBudgetTest, HoldsAmongThreads) {
  ShareBudget budget(0.05, 10);
  std::atomic<int64_t> taken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        budget.Earn();
        if (budget.TryTake()) taken.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(taken.load(), 4000);
  // All but what is left in it, and what did not fit in.
  EXPECT_GE(taken.load(), 3980);
}

}  // namespace
}  // namespace penstock::router
