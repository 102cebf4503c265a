#include <limits>
#include <random>
#include <thread>

#include "common/store/memory_store.h"
#include "common/store/store.h"
#include "gmock/gmock.h"
#include "tests/common/store/blocking_store.h"
#include "tests/common/store/redis/redis_server.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

MATCHER(IsHeld, "") { return arg.held; }
MATCHER_P(IsHeldBy, owner, "") { return !arg.held && arg.owner == owner; }

// What every store does alike. Two clients of one store: for memory:// they are the same object.
class StoreContractTest : public testing::TestWithParam<bool> {
 protected:
  StoreContractTest() {
    if (GetParam()) {
      server_ = std::make_unique<RedisServer>();
      first_ = Connected();
      second_ = Connected();
    } else {
      first_ = std::make_shared<MemoryStore>(clock_);
      second_ = first_;
    }
    one_ = std::make_unique<BlockingStore>(*first_, clock_);
    two_ = std::make_unique<BlockingStore>(*second_, clock_);
  }

  std::shared_ptr<Store> Connected() {
    auto store = MakeStore(server_->unix_uri() + "?prefix=test:", clock_, /*seed=*/1);
    EXPECT_THAT(store, IsOk());
    std::shared_ptr<Store> connected = *std::move(store);
    EXPECT_TRUE(Eventually([&] { return connected->state().connected; }))
        << connected->state().last_error.ToString();
    return connected;
  }

  const RealClock clock_;
  std::unique_ptr<RedisServer> server_;
  std::shared_ptr<Store> first_, second_;
  std::unique_ptr<BlockingStore> one_, two_;
};

TEST_P(StoreContractTest, AValueIsWhatWasPutLast) {
  EXPECT_THAT(one_->Get("key"), IsOkAndHolds(Eq(std::nullopt)));
  ASSERT_THAT(one_->Put("key", "a"), IsOk());
  ASSERT_THAT(one_->Put("key", std::string("b\0c\r\n", 5)), IsOk());
  EXPECT_THAT(two_->Get("key"), IsOkAndHolds(Optional(std::string("b\0c\r\n", 5))));
  ASSERT_THAT(one_->Put("key", ""), IsOk());
  EXPECT_THAT(two_->Get("key"), IsOkAndHolds(Optional(std::string())));
}

TEST_P(StoreContractTest, ALargeValueIsWhole) {
  std::string large(3'000'000, 'x');
  for (size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>(i);
  ASSERT_THAT(one_->Put("large", large), IsOk());
  EXPECT_THAT(two_->Get("large"), IsOkAndHolds(Optional(large)));
}

TEST_P(StoreContractTest, AnErasedValueIsGone) {
  ASSERT_THAT(one_->Put("key", "a"), IsOk());
  ASSERT_THAT(two_->Erase("key"), IsOk());
  EXPECT_THAT(one_->Get("key"), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(one_->Erase("key"), IsOk());
}

TEST_P(StoreContractTest, WhatLivesShortlyGoes) {
  constexpr absl::Duration kShort = absl::Milliseconds(30);
  ASSERT_THAT(one_->Put("key", "a", kShort), IsOk());
  ASSERT_THAT(one_->AddCounters("c", 1, {{"a", 1}}, kShort), IsOk());
  ASSERT_THAT(one_->AcquireLease("l", "one", kShort), IsOkAndHolds(IsHeld()));
  ASSERT_THAT(one_->RaiseTotals("t", 1, {{"a", 1}}, kShort), IsOk());
  EXPECT_TRUE(Eventually([&] { return !one_->Get("key")->has_value(); }));
  EXPECT_TRUE(Eventually([&] { return one_->ReadCounters("c", 1)->empty(); }));
  EXPECT_TRUE(Eventually([&] { return one_->ReadTotals("t", 1)->empty(); }));
  EXPECT_TRUE(Eventually([&] { return two_->AcquireLease("l", "two")->held; }));
}

TEST_P(StoreContractTest, LaterAddsDoNotProlong) {
  // Time enough for both calls on a machine that is busy.
  constexpr absl::Duration kShort = absl::Seconds(1);
  ASSERT_THAT(one_->AddCounters("c", 1, {{"a", 1}}, kShort), IsOk());
  ASSERT_THAT(one_->AddCounters("c", 1, {{"a", 1}}, absl::Hours(1)), IsOk());
  ASSERT_THAT(one_->RaiseTotals("t", 1, {{"a", 1}}, kShort), IsOk());
  ASSERT_THAT(one_->RaiseTotals("t", 1, {{"a", 2}}, absl::Hours(1)), IsOk());
  EXPECT_TRUE(Eventually([&] { return one_->ReadCounters("c", 1)->empty(); }));
  EXPECT_TRUE(Eventually([&] { return one_->ReadTotals("t", 1)->empty(); }));
}

TEST_P(StoreContractTest, APutStartsTheTimeToLiveAnew) {
  ASSERT_THAT(one_->Put("key", "a", absl::Milliseconds(30)), IsOk());
  ASSERT_THAT(one_->Put("key", "b", absl::InfiniteDuration()), IsOk());
  ASSERT_THAT(one_->Put("shorter", "c", absl::Milliseconds(30)), IsOk());
  ASSERT_TRUE(Eventually([&] { return !one_->Get("shorter")->has_value(); }));
  EXPECT_THAT(one_->Get("key"), IsOkAndHolds(Optional(std::string("b"))));
}

TEST_P(StoreContractTest, CountersAddUpPerWindow) {
  EXPECT_THAT(one_->ReadCounters("c", 7), IsOkAndHolds(IsEmpty()));
  ASSERT_THAT(one_->AddCounters("c", 7, {{"a", 5}, {"b", 1}, {"a", 1}}), IsOk());
  ASSERT_THAT(two_->AddCounters("c", 7, {{"a", -2}}), IsOk());
  ASSERT_THAT(two_->AddCounters("c", -8, {{"a", 9}}), IsOk());
  ASSERT_THAT(two_->AddCounters("c:7", 7, {{"a", 9}}), IsOk());
  EXPECT_THAT(one_->ReadCounters("c", 7), IsOkAndHolds(ElementsAre(Pair("a", 4), Pair("b", 1))));
  EXPECT_THAT(one_->ReadCounters("c", -8), IsOkAndHolds(ElementsAre(Pair("a", 9))));
  EXPECT_THAT(one_->AddCounters("c", 7, {}), IsOk());
}

TEST_P(StoreContractTest, AnOverflowAddsNothing) {
  ASSERT_THAT(one_->AddCounters("c", 1, {{"a", kMost}, {"b", 2}}), IsOk());
  EXPECT_THAT(one_->AddCounters("c", 1, {{"b", 3}, {"new", -5}, {"a", 1}}),
              StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(one_->ReadCounters("c", 1),
              IsOkAndHolds(ElementsAre(Pair("a", kMost), Pair("b", 2))));
  EXPECT_THAT(one_->AddCounters("fresh", 1, {{"a", kMost}, {"a", 1}}),
              StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(one_->ReadCounters("fresh", 1), IsOkAndHolds(IsEmpty()));
}

TEST_P(StoreContractTest, AKeyHasSoManyFieldsAtMost) {
  std::vector<StoreField> fields;
  for (size_t i = 0; i < Store::kMostFields; ++i) fields.push_back({absl::StrCat("f", i), 1});
  ASSERT_THAT(one_->AddCounters("c", 1, fields), IsOk());
  ASSERT_THAT(one_->AddCounters("c", 1, fields), IsOk());
  EXPECT_THAT(one_->AddCounters("c", 1, {{"another", 1}}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(one_->ReadCounters("c", 1)->size(), Store::kMostFields);
  ASSERT_THAT(one_->RaiseTotals("t", 1, fields), IsOk());
  EXPECT_THAT(one_->RaiseTotals("t", 1, {{"another", 1}}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  fields.push_back({"another", 1});
  EXPECT_THAT(one_->AddCounters("d", 1, fields), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(StoreContractTest, AHistogramIsCountersByBucket) {
  ASSERT_THAT(one_->AddCounters("h", 1, HistogramDeltas({1, 0, 3})), IsOk());
  ASSERT_THAT(two_->AddCounters("h", 1, HistogramDeltas({0, 0, 1, 7, 0})), IsOk());
  ASSERT_THAT(two_->AddCounters("h", 1, {{"sum", 100}, {"007", 1}}), IsOk());
  EXPECT_THAT(HistogramOf(*one_->ReadCounters("h", 1), 4), ElementsAre(1, 0, 4, 7));
}

TEST_P(StoreContractTest, NoAddIsLostBetweenThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int n = 0; n < 200; ++n) {
        EXPECT_THAT((t % 2 == 0 ? one_ : two_)->AddCounters("c", n % 2, {{"a", 1}}), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(one_->ReadCounters("c", 0), IsOkAndHolds(ElementsAre(Pair("a", 400))));
  EXPECT_THAT(one_->ReadCounters("c", 1), IsOkAndHolds(ElementsAre(Pair("a", 400))));
}

TEST_P(StoreContractTest, OneHoldsALease) {
  EXPECT_THAT(one_->AcquireLease("l", "one"), IsOkAndHolds(IsHeld()));
  EXPECT_THAT(two_->AcquireLease("l", "two"), IsOkAndHolds(IsHeldBy("one")));
  EXPECT_THAT(two_->RenewLease("l", "two"), IsOkAndHolds(IsHeldBy("one")));
  EXPECT_THAT(one_->AcquireLease("l", "one"), IsOkAndHolds(IsHeld()));
  ASSERT_THAT(two_->ReleaseLease("l", "two"), IsOk());
  EXPECT_THAT(one_->RenewLease("l", "one"), IsOkAndHolds(IsHeld()));
  ASSERT_THAT(one_->ReleaseLease("l", "one"), IsOk());
  EXPECT_THAT(one_->RenewLease("l", "one"), IsOkAndHolds(IsHeldBy("")));
  EXPECT_THAT(two_->AcquireLease("l", "two"), IsOkAndHolds(IsHeld()));
}

TEST_P(StoreContractTest, RenewingALeaseProlongsIt) {
  ASSERT_THAT(one_->AcquireLease("l", "one", absl::Seconds(1)), IsOkAndHolds(IsHeld()));
  ASSERT_THAT(one_->RenewLease("l", "one", absl::InfiniteDuration()), IsOkAndHolds(IsHeld()));
  ASSERT_THAT(one_->AcquireLease("shorter", "one", absl::Seconds(1)), IsOkAndHolds(IsHeld()));
  ASSERT_TRUE(Eventually([&] { return two_->AcquireLease("shorter", "two")->held; }));
  EXPECT_THAT(two_->AcquireLease("l", "two"), IsOkAndHolds(IsHeldBy("one")));
}

TEST_P(StoreContractTest, TotalsOnlyRise) {
  ASSERT_THAT(one_->RaiseTotals("t", 1, {{"a", 10}, {"b", 9}}), IsOk());
  ASSERT_THAT(two_->RaiseTotals("t", 1, {{"a", 9}, {"b", 10}, {"c", 0}}), IsOk());
  EXPECT_THAT(one_->ReadTotals("t", 1),
              IsOkAndHolds(ElementsAre(Pair("a", 10), Pair("b", 10), Pair("c", 0))));
  EXPECT_THAT(one_->RaiseTotals("t", 1, {{"a", -1}}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(StoreContractTest, TotalsAreExact) {
  ASSERT_THAT(one_->RaiseTotals("t", 1, {{"a", kMost - 1}}), IsOk());
  ASSERT_THAT(one_->RaiseTotals("t", 1, {{"a", kMost - 2}}), IsOk());
  EXPECT_THAT(one_->ReadTotals("t", 1), IsOkAndHolds(ElementsAre(Pair("a", kMost - 1))));
  ASSERT_THAT(one_->RaiseTotals("t", 1, {{"a", kMost}}), IsOk());
  EXPECT_THAT(one_->ReadTotals("t", 1), IsOkAndHolds(ElementsAre(Pair("a", kMost))));
}

BudgetTake Take(std::string owner, int64_t cap, int64_t want) {
  BudgetTake take;
  take.name = "joules";
  take.window = 3;
  take.owner = std::move(owner);
  take.cap = cap;
  take.want = want;
  take.ttl = absl::Minutes(5);
  return take;
}

MATCHER_P2(Grants, granted, taken, "") { return arg.granted == granted && arg.taken == taken; }

TEST_P(StoreContractTest, GrantsStayBelowTheCap) {
  EXPECT_THAT(one_->TakeBudget(Take("one", 100, 60)), IsOkAndHolds(Grants(60, 60)));
  EXPECT_THAT(two_->TakeBudget(Take("two", 100, 60)), IsOkAndHolds(Grants(40, 100)));
  EXPECT_THAT(two_->TakeBudget(Take("three", 100, 1)), IsOkAndHolds(Grants(0, 100)));
  // A cap that was lowered grants nothing, and takes nothing back.
  BudgetTake more = Take("one", 50, 10);
  more.granted = 60;
  EXPECT_THAT(one_->TakeBudget(more), IsOkAndHolds(Grants(60, 100)));
}

TEST_P(StoreContractTest, WhatIsReturnedOthersMayTake) {
  ASSERT_THAT(one_->TakeBudget(Take("one", 100, 100)), IsOkAndHolds(Grants(100, 100)));
  BudgetTake back = Take("one", 100, 0);
  back.granted = 100;
  back.returned = 70;
  back.settled = 30;
  EXPECT_THAT(one_->TakeBudget(back), IsOkAndHolds(Grants(100, 30)));
  EXPECT_THAT(two_->TakeBudget(Take("two", 100, 100)), IsOkAndHolds(Grants(70, 100)));
}

TEST_P(StoreContractTest, WhatIsSpentBeyondALeaseCounts) {
  ASSERT_THAT(one_->TakeBudget(Take("one", 100, 20)), IsOkAndHolds(Grants(20, 20)));
  BudgetTake spent = Take("one", 100, 0);
  spent.granted = 20;
  spent.settled = 90;
  EXPECT_THAT(one_->TakeBudget(spent), IsOkAndHolds(Grants(20, 90)));
  EXPECT_THAT(two_->TakeBudget(Take("two", 100, 50)), IsOkAndHolds(Grants(10, 100)));
}

TEST_P(StoreContractTest, AGrantWhoseReplyWasLostIsHandedOutAgain) {
  ASSERT_THAT(one_->TakeBudget(Take("one", 100, 30)), IsOkAndHolds(Grants(30, 30)));
  // It knows of none, and wants 20: they are among the 30.
  EXPECT_THAT(one_->TakeBudget(Take("one", 100, 20)), IsOkAndHolds(Grants(30, 30)));
  EXPECT_THAT(one_->TakeBudget(Take("one", 100, 50)), IsOkAndHolds(Grants(50, 50)));
}

TEST_P(StoreContractTest, TotalsOfABudgetAreItsLedger) {
  // Another router's, told by one that mirrors it.
  ASSERT_THAT(one_->RaiseTotals("joules", 3,
                                {{SettledField("dead"), 40},
                                 {GrantedField("lender"), 30},
                                 {ReturnedField("lender"), 10}}),
              IsOk());
  EXPECT_THAT(two_->TakeBudget(Take("two", 100, 100)), IsOkAndHolds(Grants(40, 100)));
  EXPECT_THAT(one_->ReadTotals("joules", 3),
              IsOkAndHolds(testing::Contains(Pair(GrantedField("two"), 40))));
}

TEST_P(StoreContractTest, BudgetsAreExactBeyondFiftyThreeBits) {
  constexpr int64_t kCap = (int64_t{1} << 60) + 1;
  EXPECT_THAT(one_->TakeBudget(Take("one", kCap, kCap - 3)),
              IsOkAndHolds(Grants(kCap - 3, kCap - 3)));
  EXPECT_THAT(one_->TakeBudget(Take("two", kCap, 2)), IsOkAndHolds(Grants(2, kCap - 1)));
  EXPECT_THAT(one_->TakeBudget(Take("three", kCap, 2)), IsOkAndHolds(Grants(1, kCap)));
  BudgetTake most = Take("one", kMost, kMost);
  most.granted = most.settled = kMost;
  EXPECT_THAT(one_->TakeBudget(most), IsOkAndHolds(Grants(kMost, kMost)));
}

TEST_P(StoreContractTest, ABudgetRefusesNumbersThatCannotBe) {
  EXPECT_THAT(one_->TakeBudget(Take("one", 100, -1)),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("want")));
  BudgetTake returned = Take("one", 100, 1);
  returned.returned = 1;
  EXPECT_THAT(one_->TakeBudget(returned), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(StoreContractTest, BudgetsAgreeWithPlainArithmetic) {
  struct Totals {
    int64_t granted = 0, returned = 0, settled = 0;
    int64_t taken() const { return std::max(granted - returned, settled); }
  };
  std::mt19937_64 random(7);
  std::map<std::string, Totals> owners = {{"a", {}}, {"b", {}}, {"c", {}}};
  constexpr int64_t kCap = 5'000'000'000'123'456'789;
  for (int step = 0; step < 200; ++step) {
    const std::string name(1, static_cast<char>('a' + random() % 3));
    Totals& owner = owners[name];
    const int64_t held = owner.granted - owner.returned - owner.settled;
    if (held > 0) {
      owner.settled += static_cast<int64_t>(random() % (static_cast<uint64_t>(held) / 4 + 2));
      const int64_t rest = owner.granted - owner.returned - owner.settled;
      if (rest > 0) owner.returned += static_cast<int64_t>(random() % (rest / 2 + 1));
    }
    int64_t others = 0;
    for (const auto& [other, totals] : owners) others += other == name ? 0 : totals.taken();
    BudgetTake take = Take(name, kCap, static_cast<int64_t>(random() % (kCap / 4)));
    take.granted = owner.granted;
    take.returned = owner.returned;
    take.settled = owner.settled;
    const int64_t more = std::max<int64_t>(0, std::min(take.want, kCap - others - owner.taken()));
    owner.granted += more;
    ASSERT_THAT((step % 2 == 0 ? one_ : two_)->TakeBudget(take),
                IsOkAndHolds(Grants(owner.granted, others + owner.taken())))
        << "step " << step;
  }
}

TEST_P(StoreContractTest, SubscribersHearWhatIsPublishedInOrder) {
  struct Heard {
    Notification live, end;
    std::vector<std::string> messages;
  };
  Heard first, second;
  const auto hear = [&](Heard& heard) {
    return *second_->Subscribe(
        "news", [&heard] { heard.live.Notify(); },
        [&heard](absl::string_view message) {
          heard.messages.emplace_back(message);
          if (message == "end") heard.end.Notify();
        });
  };
  const auto one = hear(first);
  const auto two = hear(second);
  ASSERT_TRUE(first.live.WaitWithTimeout(absl::Seconds(20)));
  ASSERT_TRUE(second.live.WaitWithTimeout(absl::Seconds(20)));
  ASSERT_THAT(one_->Publish("other", "not for us"), IsOk());
  ASSERT_THAT(one_->Publish("news", std::string("a\0b", 3)), IsOk());
  ASSERT_THAT(one_->Publish("news", "end"), IsOk());
  ASSERT_TRUE(first.end.WaitWithTimeout(absl::Seconds(20)));
  ASSERT_TRUE(second.end.WaitWithTimeout(absl::Seconds(20)));
  EXPECT_THAT(first.messages, ElementsAre(std::string("a\0b", 3), "end"));
  EXPECT_THAT(second.messages, ElementsAre(std::string("a\0b", 3), "end"));
}

TEST_P(StoreContractTest, WhoUnsubscribedHearsNothing) {
  Notification live, stays_live, end;
  int heard = 0;
  auto goes = *first_->Subscribe(
      "news", [&] { live.Notify(); }, [&](absl::string_view) { ++heard; });
  const auto stays = *first_->Subscribe(
      "news", [&] { stays_live.Notify(); }, [&](absl::string_view) { end.Notify(); });
  ASSERT_TRUE(live.WaitWithTimeout(absl::Seconds(20)));
  ASSERT_TRUE(stays_live.WaitWithTimeout(absl::Seconds(20)));
  goes.reset();
  ASSERT_THAT(two_->Publish("news", "end"), IsOk());
  ASSERT_TRUE(end.WaitWithTimeout(absl::Seconds(20)));
  EXPECT_EQ(heard, 0);
}

TEST_P(StoreContractTest, ASubscriptionMayEndItselfAndBeginAgain) {
  Notification live, heard, again;
  std::unique_ptr<StoreSubscription> subscription;
  Mutex mutex;
  const auto hear_again = [&] {
    return *first_->Subscribe(
        "news", [&] { again.Notify(); }, [](absl::string_view) {});
  };
  {
    MutexLock lock(mutex);
    subscription = *first_->Subscribe(
        "news", [&] { live.Notify(); },
        [&](absl::string_view) {
          MutexLock inner(mutex);
          subscription.reset();
          subscription = hear_again();
          heard.Notify();
        });
  }
  ASSERT_TRUE(live.WaitWithTimeout(absl::Seconds(20)));
  ASSERT_THAT(two_->Publish("news", "end"), IsOk());
  ASSERT_TRUE(heard.WaitWithTimeout(absl::Seconds(20)));
  EXPECT_TRUE(again.WaitWithTimeout(absl::Seconds(20)));
  MutexLock lock(mutex);
  subscription.reset();
}

TEST_P(StoreContractTest, ADeadlineThatPassedEndsTheCall) {
  BlockingStore late(*first_, clock_, -absl::Milliseconds(1));
  EXPECT_THAT(late.Put("key", "a"), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(late.TakeBudget(Take("one", 10, 10)), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(one_->Get("key"), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_EQ(first_->state().timeouts, 2);
}

TEST_P(StoreContractTest, RefusesBadNamesAndTimesToLive) {
  const std::string long_name(Store::kMostNameBytes + 1, 'x');
  EXPECT_THAT(one_->Get(""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(one_->Put(long_name, "a"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(one_->Put("key", "a", absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(one_->AddCounters("c", 1, {{"", 1}}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(one_->AcquireLease("l", ""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(one_->Publish("", "a"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(first_->Subscribe("", nullptr, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(first_->state().failures, 6);
}

TEST_P(StoreContractTest, TheStateCounts) {
  const int64_t before = first_->state().calls;
  ASSERT_THAT(one_->Put("key", "a"), IsOk());
  ASSERT_THAT(one_->Get("key"), IsOk());
  const StoreState state = first_->state();
  EXPECT_TRUE(state.connected);
  EXPECT_EQ(state.connections, 1);
  EXPECT_EQ(state.calls, before + 2);
  EXPECT_EQ(state.failures, 0);
  EXPECT_EQ(state.in_flight, 0);
  EXPECT_LE(state.connected_since, clock_.Now());
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContractTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Redis" : "Memory"; });

}  // namespace
}  // namespace penstock
