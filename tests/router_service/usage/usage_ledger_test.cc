#include "router_service/usage/usage_ledger.h"

#include "absl/strings/str_cat.h"
#include "common/store/memory_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/switched_store.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class UsageLedgerTest : public testing::Test {
 protected:
  absl::Time Deadline() const { return clock_.Now() + absl::Seconds(1); }
  absl::Status Tell(const std::string& owner, int64_t hour, const std::vector<UsageRow>& rows,
                    size_t pairs) {
    absl::Status told = absl::UnknownError("did not end");
    ledger_.Tell(owner, hour, rows, pairs, Deadline(), [&](absl::Status status) { told = status; });
    return told;
  }
  absl::StatusOr<UsageLedger::OwnerTotals> Read(int64_t hour) {
    absl::StatusOr<UsageLedger::OwnerTotals> read = absl::UnknownError("did not end");
    ledger_.Read(hour, Deadline(), [&](auto totals) { read = std::move(totals); });
    return read;
  }

  FakeClock clock_;
  MemoryStore memory_{clock_};
  SwitchedStore store_{memory_};
  UsageLedger ledger_{store_};
};

TEST_F(UsageLedgerTest, KeepsWhatEachOwnerTold) {
  const UsageTotals of_a{3, 10, 20, 30, 40}, of_b{1, 0, 0, 0, 5};
  ASSERT_THAT(Tell("one", 7, {{{"a", "chat"}, of_a, 0}}, 1), IsOk());
  ASSERT_THAT(Tell("two", 7, {{{"a", "chat"}, of_b, 0}, {{"", "chat", true}, of_a, 1}}, 2), IsOk());
  const auto read = Read(7);
  ASSERT_THAT(read, IsOk());
  EXPECT_THAT(*read, ElementsAre(Pair("one", ElementsAre(Pair(UsageKey{"a", "chat"}, of_a))),
                                 Pair("two", ElementsAre(Pair(UsageKey{"", "chat", true}, of_a),
                                                         Pair(UsageKey{"a", "chat"}, of_b)))));
  EXPECT_THAT(*Read(8), IsEmpty());
}

TEST_F(UsageLedgerTest, TotalsOnlyGrowWhateverOrderTheyComeIn) {
  ASSERT_THAT(Tell("one", 7, {{{"a", "chat"}, {3, 9, 0, 0, 0}, 0}}, 1), IsOk());
  ASSERT_THAT(Tell("one", 7, {{{"a", "chat"}, {2, 6, 0, 0, 0}, 0}}, 1), IsOk());
  EXPECT_EQ((*Read(7))["one"].begin()->second, (UsageTotals{3, 9, 0, 0, 0}));
}

TEST_F(UsageLedgerTest, NamesMayHoldAnything) {
  const std::vector<UsageKey> keys = {
      {"a:b/c", "12:x"}, {"12:x", "a:b/c"}, {"x", ":"}, {"1:", ""}, {"tenant\twith\ntabs", "p"}};
  std::vector<UsageRow> rows;
  for (size_t i = 0; i < keys.size(); ++i) {
    rows.push_back({keys[i], {static_cast<int64_t>(i) + 1, 0, 0, 0, 0}, i});
  }
  ASSERT_THAT(Tell("one", 7, rows, rows.size()), IsOk());
  const auto read = Read(7);
  ASSERT_THAT(read, IsOk());
  for (const UsageRow& row : rows) EXPECT_EQ(read->at("one").at(row.key), row.totals);
}

TEST_F(UsageLedgerTest, AnHourOfTenThousandPairsIsWhole) {
  std::vector<UsageRow> rows;
  for (size_t i = 0; i < 10'000; ++i) {
    rows.push_back({{absl::StrCat("tenant", i), "chat"}, {1, 1, 1, 1, 1}, i});
  }
  ASSERT_THAT(Tell("one", 7, rows, rows.size()), IsOk());
  const auto read = Read(7);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->at("one").size(), 10'000u);
  // One of them changes: its part alone is told.
  rows[9'999].totals.requests = 2;
  ASSERT_THAT(Tell("one", 7, {rows[9'999]}, rows.size()), IsOk());
  EXPECT_EQ(Read(7)->at("one").at(rows[9'999].key).requests, 2);
  EXPECT_EQ(Read(7)->at("one").at(rows[0].key).requests, 1);
  EXPECT_THAT(Tell("one", 7, {}, 100'000), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(UsageLedgerTest, FieldsOfAnotherMakeArePassedOver) {
  UsageLedger::Totals totals;
  for (const char* field : {"", "r", "rt", "rt4", "rt4:", "rt9:pool", "xt1:pa", "rz1:pa", "rt-1:pa",
                            "rt18446744073709551615:p"}) {
    AddUsageField(field, 1, totals);
  }
  AddUsageField("rt1:pa", -1, totals);
  // Names that are no text, and one that the length cuts in two.
  AddUsageField("rt1:p\xff", 1, totals);
  AddUsageField("rt1:\xff" "a", 1, totals);
  AddUsageField("rt1:\xc3\xa4", 1, totals);
  EXPECT_THAT(totals, IsEmpty());
  AddUsageField("rt1:pa", 4, totals);
  EXPECT_THAT(totals, ElementsAre(Pair(UsageKey{"a", "p"}, UsageTotals{4, 0, 0, 0, 0})));
}

TEST_F(UsageLedgerTest, WhatMayBeAskedForIsKeptWhole) {
  const absl::Time asked = absl::UnixEpoch() + absl::Hours(2000);
  FakeClock clock(asked);
  MemoryStore store(clock);
  UsageLedger ledger(store);
  ledger.Tell("one", 2000, {{{"a", "chat"}, {1, 0, 0, 0, 0}, 0}}, 1, asked + absl::Seconds(1),
              [](const absl::Status& status) { EXPECT_THAT(status, IsOk()); });
  // To the end of the hour in which it is the oldest.
  clock.Advance(UsageLedger::kKept + absl::Minutes(59));
  size_t owners = 0;
  ledger.Read(2000, clock.Now() + absl::Seconds(1),
              [&](const auto& totals) { owners = totals.ok() ? totals->size() : 0; });
  EXPECT_EQ(owners, 1u);
}

TEST_F(UsageLedgerTest, ErrorsAreTheStores) {
  ASSERT_THAT(Tell("one", 7, {{{"a", "chat"}, {1, 0, 0, 0, 0}, 0}}, 1), IsOk());
  store_.Fail(absl::UnavailableError("away"));
  EXPECT_THAT(Tell("one", 7, {{{"a", "chat"}, {1, 0, 0, 0, 0}, 0}}, 1),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Read(7), StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace penstock::router
