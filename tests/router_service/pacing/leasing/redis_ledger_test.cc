#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "gtest/gtest.h"
#include "router_service/pacing/leasing/shared_window_ledger.h"
#include "tests/common/store/blocking_store.h"
#include "tests/common/store/redis/redis_server.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

constexpr int64_t kCap = 20'000;
// No test sees its end.
constexpr absl::Duration kLength = absl::Hours(24 * 365);

// A router's connection, timers and ledger, as in its process.
struct RedisRouter {
  RedisRouter(const std::string& uri, const Clock& clock, const std::string& owner)
      : timers(clock) {
    auto made = MakeStore(uri, clock, std::hash<std::string>()(owner));
    EXPECT_THAT(made, IsOk());
    store = *std::move(made);
    SharedWindowLedger::Options options;
    options.owner = owner;
    ledger = std::make_shared<SharedWindowLedger>(*store, timers, clock, options);
    ledger->Keep("b", kLength, kCap, 0);
    ledger->Start();
    EXPECT_TRUE(Eventually([&] { return ledger->ready(); }));
  }
  ~RedisRouter() { ledger->Stop(absl::Seconds(2)); }

  std::unique_ptr<Store> store;
  std::shared_ptr<SharedWindowLedger> ledger;
  ThreadTimers timers;
};

class RedisLedgerTest : public testing::Test {
 protected:
  std::unique_ptr<RedisRouter> Router(const std::string& owner) {
    return std::make_unique<RedisRouter>(server_.unix_uri() + "?prefix=test:", clock_, owner);
  }
  BudgetWindow Now() const { return BudgetWindow::At(clock_.Now(), kLength); }
  // Until nothing more is to be had, from `threads` at once. The sum.
  int64_t Drain(RedisRouter& router, int threads) {
    std::atomic<int64_t> sum = 0;
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) {
      all.emplace_back([&] {
        const auto covered = [&] {
          return router.ledger->Reserve("b", Now(), 7, kCap) == WindowAnswer::kCovered;
        };
        while (Eventually(covered, absl::Seconds(3))) {
          router.ledger->Settle("b", Now(), 7, 5);
          sum += 5;
        }
      });
    }
    for (std::thread& thread : all) thread.join();
    return sum;
  }

  const RealClock clock_;
  RedisServer server_;
};

TEST_F(RedisLedgerTest, RoutersKeepOneBudget) {
  auto a = Router("a"), b = Router("b"), c = Router("c");
  int64_t of_a = 0, of_b = 0;
  std::thread other([&] { of_a = Drain(*a, 4); });
  of_b = Drain(*b, 4);
  other.join();
  const int64_t sum = of_a + of_b;
  EXPECT_LE(sum, kCap);
  // Less than one request's worth is left, at each of three.
  EXPECT_GT(sum, kCap - 3 * 7);
  EXPECT_TRUE(Eventually([&] { return c->ledger->Count("b", Now()).settled == sum; }));
  EXPECT_EQ(a->ledger->figures()[0].reserved, 0);
}

TEST_F(RedisLedgerTest, ARestartThatForgotEverythingIsHealed) {
  auto a = Router("a"), b = Router("b");
  int64_t spent = 0;
  for (int i = 0; i < 1000; ++i) {
    for (RedisRouter* router : {a.get(), b.get()}) {
      if (!Eventually([&] { return Covers(router->ledger->Reserve("b", Now(), 7, kCap)); })) {
        continue;
      }
      router->ledger->Settle("b", Now(), 7, 7);
      spent += 7;
    }
  }
  ASSERT_EQ(spent, 14'000);
  // Until both have told what they spent, and each has read what the other told.
  ASSERT_TRUE(Eventually([&] {
    return a->ledger->Count("b", Now()).settled == spent &&
           b->ledger->Count("b", Now()).settled == spent;
  }));
  server_.Kill();
  ASSERT_TRUE(Eventually([&] { return a->ledger->figures()[0].lost; }));
  server_.Start();
  ASSERT_TRUE(Eventually([&] { return !a->ledger->figures()[0].lost; }));
  auto late = Router("late");
  ASSERT_TRUE(Eventually([&] { return late->ledger->Count("b", Now()).settled == spent; }));
  const int64_t more = Drain(*late, 2);
  EXPECT_LE(spent + more, kCap);
}

TEST_F(RedisLedgerTest, WithoutTheServerItGoesOnAtItsRateAndRecovers) {
  auto a = Router("a");
  const auto spend = [&](int count) {
    int covered = 0;
    for (int i = 0; i < count; ++i) {
      covered += Covers(a->ledger->Reserve("b", Now(), 1, kCap)) ? 1 : 0;
      a->ledger->Settle("b", Now(), 1, 1);
      const absl::Time next = clock_.Now() + absl::Milliseconds(5);
      Eventually([&] { return clock_.Now() >= next; });
    }
    return covered;
  };
  EXPECT_EQ(spend(200), 200);
  server_.Kill();
  EXPECT_EQ(spend(600), 600);
  EXPECT_GT(a->ledger->figures()[0].unsure, 0);
  server_.Start();
  EXPECT_TRUE(Eventually([&] { return !a->ledger->figures()[0].lost; }));
  auto b = Router("b");
  EXPECT_TRUE(Eventually([&] { return b->ledger->Count("b", Now()).settled == 800; }));
}

}  // namespace
}  // namespace penstock::router
