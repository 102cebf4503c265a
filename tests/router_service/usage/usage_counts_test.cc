#include "router_service/usage/usage_counts.h"

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class UsageCountsTest : public testing::Test {
 protected:
  int64_t hour() const { return HourOf(clock_.Now()); }
  // Of the pair in the open hour; zeros where there is none.
  UsageTotals Of(const UsageCounts& counts, const UsageKey& key) const {
    for (const UsageRow& row : counts.Read(hour())) {
      if (row.key == key) return row.totals;
    }
    return {};
  }

  FakeClock clock_{absl::UnixEpoch() + absl::Hours(100) + absl::Minutes(59)};
};

TEST_F(UsageCountsTest, AddsUpByHourTenantAndPool) {
  UsageCounts counts(clock_);
  counts.Count("chat", "acme", {2, 0.5, 0.25}, true);
  counts.Count("chat", "acme", {1, 0.5, 0}, false);
  counts.Count("chat", "zeta", {1, 0, 0}, true);
  counts.Count("code", "acme", {4, 0, 0}, true);
  EXPECT_EQ(Of(counts, {"acme", "chat"}),
            (UsageTotals{2, 2'000'000, 1'000'000, 1'000'000, 250'000}));
  EXPECT_EQ(Of(counts, {"zeta", "chat"}), (UsageTotals{1, 1'000'000, 0, 0, 0}));
  EXPECT_EQ(Of(counts, {"acme", "code"}), (UsageTotals{1, 4'000'000, 0, 0, 0}));
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(Of(counts, {"acme", "chat"}), UsageTotals());
  counts.Count("chat", "acme", {1, 0, 0}, true);
  EXPECT_EQ(Of(counts, {"acme", "chat"}), (UsageTotals{1, 1'000'000, 0, 0, 0}));
  EXPECT_THAT(counts.Hours(), ElementsAre(100, 101));
}

TEST_F(UsageCountsTest, RequestsBelowAMillionthAddUp) {
  UsageCounts counts(clock_);
  // 10,000 times 0.3 of a microdollar.
  for (int i = 0; i < 10'000; ++i) counts.Count("chat", "acme", {0, 0, 3e-7}, true);
  EXPECT_NEAR(static_cast<double>(Of(counts, {"acme", "chat"}).microdollars), 3000, 1);
}

TEST_F(UsageCountsTest, WhatIsNoAmountCountsAsNothingAndTooMuchStaysInRange) {
  UsageCounts counts(clock_);
  counts.Count("chat", "acme", {std::nan(""), -1, 0}, true);
  EXPECT_EQ(Of(counts, {"acme", "chat"}), (UsageTotals{1, 0, 0, 0, 0}));
  for (int i = 0; i < 20'000; ++i) {
    counts.Count("chat", "acme", {std::numeric_limits<double>::infinity(), 0, 0}, true);
  }
  EXPECT_EQ(Of(counts, {"acme", "chat"}).metered_microjoules, std::numeric_limits<int64_t>::max());
}

TEST_F(UsageCountsTest, TenantsBeyondTheLimitAreCountedTogetherByPool) {
  UsageCounts counts(clock_, {.pairs_an_hour = 2});
  counts.Count("chat", "a", {1, 0, 0}, true);
  counts.Count("chat", "b", {1, 0, 0}, true);
  counts.Count("chat", "c", {1, 0, 0}, true);
  counts.Count("chat", "d", {1, 0, 0}, true);
  counts.Count("code", "a", {1, 0, 0}, true);
  counts.Count("chat", "a", {1, 0, 0}, true);
  EXPECT_EQ(Of(counts, {"a", "chat"}).requests, 2);
  EXPECT_EQ(Of(counts, {"c", "chat"}), UsageTotals());
  EXPECT_EQ(Of(counts, {"", "chat", true}), (UsageTotals{2, 2'000'000, 0, 0, 0}));
  EXPECT_EQ(Of(counts, {"", "code", true}).requests, 1);
  EXPECT_EQ(counts.others(), 3u);
  EXPECT_EQ(counts.Pairs(hour()), 4u);
  // The next hour has room again.
  clock_.Advance(absl::Hours(1));
  counts.Count("chat", "c", {1, 0, 0}, true);
  EXPECT_EQ(Of(counts, {"c", "chat"}).requests, 1);
}

TEST_F(UsageCountsTest, NamesThatCannotBeToldAreCountedWithTheOthers) {
  UsageCounts counts(clock_);
  counts.Count("chat", std::string(1000, 'x'), {1, 0, 0}, true);
  counts.Count("chat", "\xff", {1, 0, 0}, true);
  EXPECT_EQ(Of(counts, {"", "chat", true}).requests, 2);
}

TEST_F(UsageCountsTest, WhatWasToldIsNotToldAgainUntilItChanges) {
  UsageCounts counts(clock_);
  counts.Count("chat", "a", {1, 0, 0}, true);
  counts.Count("chat", "b", {1, 0, 0}, true);
  const std::vector<UsageRow> first = counts.TakeUntold(hour());
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_EQ(first[0].ordinal, 0u);
  EXPECT_EQ(first[1].ordinal, 1u);
  EXPECT_THAT(counts.TakeUntold(hour()), IsEmpty());
  counts.Count("chat", "b", {1, 0, 0}, true);
  const std::vector<UsageRow> second = counts.TakeUntold(hour());
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(second[0].totals.requests, 2);
  EXPECT_EQ(second[0].ordinal, 1u);
  counts.UntellAll();
  EXPECT_THAT(counts.TakeUntold(hour()), SizeIs(2));
}

TEST_F(UsageCountsTest, ForgetsOldHoursAndSaysWhatWasNeverTold) {
  UsageCounts counts(clock_, {.pairs = 3, .hours = 10});
  counts.Count("chat", "a", {1, 0, 0}, true);  // hour 100
  clock_.Advance(absl::Hours(1));
  counts.Count("chat", "a", {1, 0, 0}, true);
  counts.TakeUntold(101);
  EXPECT_EQ(counts.Forget(true), 0u);
  EXPECT_THAT(counts.Hours(), ElementsAre(100, 101));
  // Hour 110: hour 100 is too old.
  clock_.Advance(absl::Hours(9));
  counts.Count("chat", "a", {1, 0, 0}, true);
  EXPECT_EQ(counts.Forget(true), 1u);
  EXPECT_THAT(counts.Hours(), ElementsAre(101, 110));
  // Too many pairs: the oldest go, the open hour stays.
  for (const char* tenant : {"b", "c", "d"}) counts.Count("chat", tenant, {1, 0, 0}, true);
  EXPECT_EQ(counts.Forget(true), 0u);
  EXPECT_THAT(counts.Hours(), ElementsAre(110));
}

TEST_F(UsageCountsTest, NothingIsLostBetweenThreads) {
  UsageCounts counts(clock_);
  constexpr int kThreads = 4, kRequests = 5000, kTenants = 7;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRequests; ++i) {
        counts.Count("chat", absl::StrCat("tenant", i % kTenants), {1, 0, 0}, true);
        if (i % 100 == 0) counts.TakeUntold(hour());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  UsageTotals sum;
  for (const UsageRow& row : counts.Read(hour())) sum += row.totals;
  EXPECT_EQ(sum.requests, kThreads * kRequests);
  EXPECT_EQ(sum.metered_microjoules, int64_t{1'000'000} * kThreads * kRequests);
}

TEST(HourOfTest, RoundsDownBeforeTheEpochToo) {
  EXPECT_EQ(HourOf(absl::UnixEpoch() + absl::Minutes(59)), 0);
  EXPECT_EQ(HourOf(absl::UnixEpoch() - absl::Minutes(1)), -1);
  EXPECT_EQ(HourStart(-1), absl::UnixEpoch() - absl::Hours(1));
}

}  // namespace
}  // namespace penstock::router
