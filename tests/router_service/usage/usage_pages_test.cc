#include "router_service/usage/usage_pages.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/store/memory_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/switched_store.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kHour = 1000;

class UsagePagesTest : public testing::Test {
 protected:
  static v1::GetUsageRequest Hours(int64_t from, int64_t to) {
    v1::GetUsageRequest request;
    request.mutable_from()->set_seconds(from * 3600);
    request.mutable_to()->set_seconds(to * 3600);
    return request;
  }
  absl::StatusOr<v1::GetUsageResponse> Read(UsagePages& pages, const v1::GetUsageRequest& request) {
    absl::StatusOr<v1::GetUsageResponse> page = absl::UnknownError("did not end");
    pages.Read(request, clock_.Now() + absl::Seconds(1),
               [&](auto read) { page = std::move(read); });
    return page;
  }
  // All pages; how many there were.
  std::vector<v1::TenantUsage> ReadAll(UsagePages& pages, v1::GetUsageRequest request,
                                       int& page_count) {
    std::vector<v1::TenantUsage> rows;
    page_count = 0;
    do {
      const auto page = Read(pages, request);
      EXPECT_THAT(page, IsOk());
      if (!page.ok()) return rows;
      EXPECT_LT(page->ByteSizeLong(), size_t{3} << 20);
      rows.insert(rows.end(), page->usage().begin(), page->usage().end());
      request.set_page_token(page->next_page_token());
      ++page_count;
    } while (!request.page_token().empty());
    return rows;
  }
  void TellAsAnother(int64_t hour, const UsageKey& key, const UsageTotals& totals) {
    ledger_.Tell("another", hour, {{key, totals, 0}}, 1, clock_.Now() + absl::Seconds(1),
                 [](const absl::Status& status) { EXPECT_THAT(status, IsOk()); });
  }
  static std::string Text(const v1::TenantUsage& row) {
    return absl::StrCat(row.hour().seconds() / 3600, " ", row.tenant(),
                        row.others() ? "(others)" : "", " ", row.pool(), " ", row.requests());
  }
  static std::vector<std::string> Texts(const absl::StatusOr<v1::GetUsageResponse>& page) {
    EXPECT_THAT(page, IsOk());
    std::vector<std::string> texts;
    if (!page.ok()) return texts;
    for (const v1::TenantUsage& row : page->usage()) texts.push_back(Text(row));
    return texts;
  }

  FakeClock clock_{absl::UnixEpoch() + absl::Hours(kHour) + absl::Minutes(5)};
  MemoryStore memory_{clock_};
  SwitchedStore store_{memory_};
  UsageLedger ledger_{store_};
  UsageCounts counts_{clock_};
  UsagePages alone_{{counts_, nullptr, clock_, "me"}};
  UsagePages shared_{{counts_, &ledger_, clock_, "me"}};
};

TEST_F(UsagePagesTest, TellsOwnCountsByHourTenantAndPool) {
  counts_.Count("chat", "b", {1, 0.5, 0.25}, true);
  counts_.Count("chat", "a", {2, 0, 0}, false);
  counts_.Count("code", "a", {1, 0, 0}, true);
  clock_.Advance(absl::Hours(1));
  counts_.Count("chat", "a", {1, 0, 0}, true);
  const auto page = Read(alone_, Hours(kHour, kHour + 2));
  EXPECT_THAT(Texts(page),
              ElementsAre("1000 a chat 1", "1000 a code 1", "1000 b chat 1", "1001 a chat 1"));
  EXPECT_FALSE(page->shared());
  EXPECT_EQ(page->next_page_token(), "");
  const v1::TenantUsage& b = page->usage(2);
  EXPECT_EQ(b.metered_microjoules(), 1'000'000);
  EXPECT_EQ(b.accelerator_microseconds(), 500'000);
  EXPECT_EQ(b.microdollars(), 250'000);
  EXPECT_EQ(page->usage(0).modelled_microjoules(), 2'000'000);
}

TEST_F(UsagePagesTest, FiltersByHoursTenantAndPool) {
  counts_.Count("chat", "a", {1, 0, 0}, true);
  counts_.Count("code", "a", {1, 0, 0}, true);
  counts_.Count("chat", "b", {1, 0, 0}, true);
  v1::GetUsageRequest request = Hours(kHour, kHour + 1);
  request.set_tenant("a");
  EXPECT_THAT(Texts(Read(alone_, request)), ElementsAre("1000 a chat 1", "1000 a code 1"));
  request.set_pool("code");
  EXPECT_THAT(Texts(Read(alone_, request)), ElementsAre("1000 a code 1"));
  EXPECT_THAT(Texts(Read(alone_, Hours(kHour - 5, kHour))), IsEmpty());
  // Whole hours: all that the range touches.
  v1::GetUsageRequest minutes;
  minutes.mutable_from()->set_seconds(kHour * 3600 + 60);
  minutes.mutable_to()->set_seconds(kHour * 3600 + 61);
  EXPECT_EQ(Texts(Read(alone_, minutes)).size(), 3u);
}

TEST_F(UsagePagesTest, SumsWhatAllRoutersTold) {
  counts_.Count("chat", "a", {1, 0, 0}, true);
  TellAsAnother(kHour, {"a", "chat"}, {10, 5, 0, 0, 0});
  TellAsAnother(kHour - 1, {"z", "chat"}, {4, 0, 0, 0, 0});
  const auto page = Read(shared_, Hours(kHour - 1, kHour + 1));
  EXPECT_THAT(Texts(page), ElementsAre("999 z chat 4", "1000 a chat 11"));
  EXPECT_TRUE(page->shared());
  EXPECT_EQ(page->usage(1).metered_microjoules(), 1'000'005);
}

TEST_F(UsagePagesTest, WhatThisRouterToldAndWhatItKnowsIsOneThing) {
  counts_.Count("chat", "a", {1, 0, 0}, true);
  ledger_.Tell("me", kHour, counts_.TakeUntold(kHour), 1, clock_.Now() + absl::Seconds(1),
               [](const absl::Status& status) { EXPECT_THAT(status, IsOk()); });
  counts_.Count("chat", "a", {1, 0, 0}, true);
  EXPECT_THAT(Texts(Read(shared_, Hours(kHour, kHour + 1))), ElementsAre("1000 a chat 2"));
}

TEST_F(UsagePagesTest, ManyRowsComeInSeveralPagesEachOnce) {
  for (int i = 0; i < 5000; ++i) {
    counts_.Count("chat", absl::StrCat("tenant", i), {1, 0, 0}, true);
  }
  clock_.Advance(absl::Hours(30));
  counts_.Count("chat", "last", {1, 0, 0}, true);
  for (UsagePages* pages : {&alone_, &shared_}) {
    int page_count = 0;
    const auto rows = ReadAll(*pages, Hours(kHour - 100, kHour + 31), page_count);
    std::set<std::tuple<int64_t, std::string>> seen;
    for (const v1::TenantUsage& row : rows) seen.emplace(row.hour().seconds(), row.tenant());
    EXPECT_EQ(rows.size(), 5001u);
    EXPECT_EQ(seen.size(), 5001u);
    EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
      return std::tuple(a.hour().seconds(), a.tenant()) <
             std::tuple(b.hour().seconds(), b.tenant());
    }));
    EXPECT_GT(page_count, 3);
  }
}

TEST_F(UsagePagesTest, LongNamesMakePagesThatAreStillSmall) {
  for (int i = 0; i < 9000; ++i) {
    counts_.Count("chat", absl::StrCat(std::string(390, 'x'), i), {1, 0, 0}, true);
  }
  int page_count = 0;
  EXPECT_EQ(ReadAll(alone_, Hours(kHour, kHour + 1), page_count).size(), 9000u);
  EXPECT_GE(page_count, 5);
}

TEST_F(UsagePagesTest, HoursThatAreToComeAreNotLookedFor) {
  counts_.Count("chat", "a", {1, 0, 0}, true);
  v1::GetUsageRequest all = Hours(kHour - 35 * 24, kHour);
  all.mutable_to()->set_seconds(253402300799);  // 9999
  int page_count = 0;
  EXPECT_EQ(ReadAll(shared_, all, page_count).size(), 1u);
  EXPECT_LE(page_count, 36);
}

TEST_F(UsagePagesTest, HoursThatAreNotKeptAnyMoreAreAnErrorNotASmallerSum) {
  counts_.Count("chat", "a", {1, 0, 0}, true);
  v1::GetUsageRequest ever = Hours(0, kHour + 1);
  ever.mutable_from()->set_seconds(-62135596800);  // year 1
  for (const v1::GetUsageRequest& request : {ever, Hours(kHour - 35 * 24 - 1, kHour)}) {
    for (UsagePages* pages : {&alone_, &shared_}) {
      // 160 hours after the epoch.
      EXPECT_THAT(Read(*pages, request),
                  StatusIs(StatusCode::kOutOfRange, HasSubstr("1970-01-07T16:00:00Z or later")));
    }
  }
  EXPECT_THAT(Read(shared_, Hours(kHour - 35 * 24, kHour)), IsOk());
}

TEST_F(UsagePagesTest, AnExportOfAllThatIsKeptEndsThoughAnHourGoesMeanwhile) {
  counts_.Count("chat", "a", {1, 0, 0}, true);
  v1::GetUsageRequest request = Hours(kHour - 35 * 24, kHour + 1);
  request.set_page_token(Read(shared_, request)->next_page_token());
  ASSERT_NE(request.page_token(), "");
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Read(shared_, request), IsOk());
}

TEST_F(UsagePagesTest, NamesWhatIsWrong) {
  EXPECT_THAT(Read(alone_, {}), StatusIs(StatusCode::kInvalidArgument, HasSubstr("from")));
  v1::GetUsageRequest only_from;
  only_from.mutable_from()->set_seconds(1);
  EXPECT_THAT(Read(alone_, only_from), StatusIs(StatusCode::kInvalidArgument, HasSubstr("to:")));
  EXPECT_THAT(Read(alone_, Hours(5, 5)), StatusIs(StatusCode::kInvalidArgument, HasSubstr("to:")));
  v1::GetUsageRequest far = Hours(1, 2);
  far.mutable_to()->set_seconds(int64_t{1} << 62);
  EXPECT_THAT(Read(alone_, far), StatusIs(StatusCode::kInvalidArgument, HasSubstr("9999")));
  for (const char* token : {"x", ".", "!!.me", "AAAA.me"}) {
    v1::GetUsageRequest request = Hours(kHour, kHour + 1);
    request.set_page_token(token);
    EXPECT_THAT(Read(alone_, request).status(),
                AnyOf(StatusIs(StatusCode::kInvalidArgument),
                      StatusIs(StatusCode::kFailedPrecondition)))
        << token;
  }
}

TEST_F(UsagePagesTest, APageOfAnotherRouterDoesNotGoOnHere) {
  for (int i = 0; i < 3000; ++i) {
    counts_.Count("chat", absl::StrCat("tenant", i), {1, 0, 0}, true);
  }
  v1::GetUsageRequest request = Hours(kHour, kHour + 1);
  request.set_page_token(Read(alone_, request)->next_page_token());
  ASSERT_NE(request.page_token(), "");
  UsagePages other({counts_, nullptr, clock_, "other"});
  EXPECT_THAT(Read(other, request), StatusIs(StatusCode::kFailedPrecondition));
  // Those that share a store know the same.
  request.set_page_token(Read(shared_, Hours(kHour, kHour + 1))->next_page_token());
  UsagePages sharing({counts_, &ledger_, clock_, "other"});
  EXPECT_THAT(Read(sharing, request), IsOk());
}

TEST_F(UsagePagesTest, AStoreThatIsAwayIsAnError) {
  counts_.Count("chat", "a", {1, 0, 0}, true);
  store_.Fail(absl::UnavailableError("away"));
  EXPECT_THAT(Read(shared_, Hours(kHour, kHour + 1)), StatusIs(StatusCode::kUnavailable));
}

}  // namespace
}  // namespace penstock::router
