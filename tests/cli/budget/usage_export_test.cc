#include "cli/budget/usage_export.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/status_matchers.h"

namespace penstock::cli {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

// 1970-01-02 00:00 is hour 24.
absl::Time Hour(int64_t hour) { return absl::UnixEpoch() + absl::Hours(hour); }

v1::TenantUsage& Add(v1::GetUsageResponse& page, int64_t hour, const std::string& tenant,
                     int64_t requests) {
  v1::TenantUsage& row = *page.add_usage();
  row.mutable_hour()->set_seconds(hour * 3600);
  row.set_tenant(tenant);
  row.set_pool("chat");
  row.set_requests(requests);
  return row;
}

constexpr char kHeader[] =
    "start,end,tenant,pool,others,requests,metered_joules,modelled_joules,accelerator_seconds,"
    "dollars\n";

TEST(UsageExportTest, ARowForEachHourWithExactAmounts) {
  UsageExport usage(Hour(24), Hour(26), UsageExport::Per::kHour);
  v1::GetUsageResponse page;
  v1::TenantUsage& first = Add(page, 24, "acme", 3);
  first.set_metered_microjoules(1'000'001);
  first.set_modelled_microjoules(9);
  first.set_accelerator_microseconds(9'007'199'254'740'993);  // no double has it
  first.set_microdollars(20'000'000);
  Add(page, 25, "", 1).set_others(true);
  usage.Add(page);
  EXPECT_EQ(usage.Csv(),
            std::string(kHeader) +
                "1970-01-02T00:00:00Z,1970-01-02T01:00:00Z,acme,chat,0,3,1.000001,0.000009,"
                "9007199254.740993,20.000000\n"
                "1970-01-02T01:00:00Z,1970-01-02T02:00:00Z,,chat,1,1,0.000000,0.000000,0.000000,"
                "0.000000\n");
  const auto json = nlohmann::json::parse(usage.Json());
  EXPECT_EQ(json["from"], "1970-01-02T00:00:00Z");
  EXPECT_EQ(json["to"], "1970-01-02T02:00:00Z");
  EXPECT_EQ(json["usage"][0]["accelerator_microseconds"], 9'007'199'254'740'993);
  EXPECT_EQ(json["usage"][0]["metered_microjoules"], 1'000'001);
  EXPECT_EQ(json["usage"][1]["others"], true);
}

TEST(UsageExportTest, SumsByDayAndInTotalOverPages) {
  UsageExport days(Hour(20), Hour(30), UsageExport::Per::kDay);
  UsageExport total(Hour(20), Hour(30) - absl::Minutes(1), UsageExport::Per::kTotal);
  for (const int64_t hour : {20, 23, 24, 29}) {
    v1::GetUsageResponse page;
    page.set_shared(true);
    Add(page, hour, "acme", 1);
    days.Add(page);
    total.Add(page);
  }
  EXPECT_THAT(days.Csv(), HasSubstr("1970-01-01T00:00:00Z,1970-01-02T00:00:00Z,acme,chat,0,2,"));
  EXPECT_THAT(days.Csv(), HasSubstr("1970-01-02T00:00:00Z,1970-01-03T00:00:00Z,acme,chat,0,2,"));
  EXPECT_THAT(total.Csv(), HasSubstr("1970-01-01T20:00:00Z,1970-01-02T06:00:00Z,acme,chat,0,4,"));
  EXPECT_TRUE(days.shared());
  v1::GetUsageResponse alone;
  days.Add(alone);
  EXPECT_FALSE(days.shared());
}

TEST(UsageExportTest, QuotesWhatWouldBreakALine) {
  UsageExport usage(Hour(0), Hour(1), UsageExport::Per::kHour);
  v1::GetUsageResponse page;
  Add(page, 0, "a,\"b\"\nc", 1);
  usage.Add(page);
  EXPECT_THAT(usage.Csv(), HasSubstr(",\"a,\"\"b\"\"\nc\",chat,"));
}

TEST(UsageExportTest, WithoutRowsTheHeaderIsThere) {
  EXPECT_EQ(UsageExport(Hour(0), Hour(1), UsageExport::Per::kHour).Csv(), kHeader);
}

TEST(MillionthsTest, KeepsEveryDigit) {
  EXPECT_EQ(Millionths(0), "0.000000");
  EXPECT_EQ(Millionths(1), "0.000001");
  EXPECT_EQ(Millionths(std::numeric_limits<int64_t>::max()), "9223372036854.775807");
}

TEST(TimeOptionTest, TakesDaysTimesAndHowLongAgo) {
  const absl::Time now = Hour(1000) + absl::Minutes(7);
  EXPECT_THAT(ParseTimeOption("--from", "now", now), IsOkAndHolds(now));
  EXPECT_THAT(ParseTimeOption("--from", "24h", now), IsOkAndHolds(now - absl::Hours(24)));
  EXPECT_THAT(ParseTimeOption("--from", "7d", now), IsOkAndHolds(now - absl::Hours(168)));
  EXPECT_THAT(ParseTimeOption("--from", "1970-01-02", now), IsOkAndHolds(Hour(24)));
  EXPECT_THAT(ParseTimeOption("--from", "1970-01-02T01:00:00Z", now), IsOkAndHolds(Hour(25)));
  EXPECT_THAT(ParseTimeOption("--from", "1970-01-02T01:00:00+01:00", now), IsOkAndHolds(Hour(24)));
}

TEST(TimeOptionTest, SaysWhatItWanted) {
  for (const char* wrong : {"", "yesterday", "-24h", "-1d", "inf", "infinite-future", "2026-13-01",
                            "99999999999999999d", "d"}) {
    EXPECT_THAT(ParseTimeOption("--from", wrong, Hour(1000)),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("--from: wanted a day")))
        << wrong;
  }
}

}  // namespace
}  // namespace penstock::cli
