#include "router_service/replicas/shared_load/in_flight_report.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

TEST(InFlightReportTest, WhatIsToldIsRead) {
  const InFlightReport told = {.round = 7, .in_flight = {{"b:1\tm", 3}, {"a:1\tm", 12}, {"c", 0}}};
  const std::string text = FormatInFlightReport(told);
  EXPECT_EQ(text, "1 7\n12 a:1\tm\n3 b:1\tm\n");
  const auto read = ParseInFlightReport(text);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->round, 7u);
  EXPECT_THAT(read->in_flight, ElementsAre(Pair("a:1\tm", 12), Pair("b:1\tm", 3)));
}

TEST(InFlightReportTest, ARouterWithNothingInFlightTellsItsRound) {
  const auto read = ParseInFlightReport(FormatInFlightReport({.round = 1, .in_flight = {}}));
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->round, 1u);
  EXPECT_THAT(read->in_flight, IsEmpty());
}

TEST(InFlightReportTest, OfTooManyThoseWithTheFewestAreLeftOut) {
  InFlightReport told;
  for (size_t i = 0; i < 2 * kMostReportReplicas; ++i) told.in_flight[absl::StrCat(i)] = i + 1;
  const auto read = ParseInFlightReport(FormatInFlightReport(told));
  ASSERT_THAT(read, IsOk());
  EXPECT_THAT(read->in_flight, SizeIs(kMostReportReplicas));
  EXPECT_EQ(read->in_flight.count(absl::StrCat(kMostReportReplicas - 1)), 0u);
  EXPECT_EQ(read->in_flight.count(absl::StrCat(2 * kMostReportReplicas - 1)), 1u);
}

TEST(InFlightReportTest, LongNamesKeepWithinTheBytes) {
  InFlightReport told;
  for (int i = 0; i < 500; ++i) {
    told.in_flight[absl::StrCat(1000 + i, std::string(kLongestReplicaKey - 4, 'x'))] = 1;
  }
  const std::string text = FormatInFlightReport(told);
  EXPECT_LE(text.size(), kMostReportBytes);
  EXPECT_GT(text.size(), kMostReportBytes - 2 * kLongestReplicaKey);
  EXPECT_THAT(ParseInFlightReport(text), IsOk());
}

TEST(InFlightReportTest, NamesThatAreNoneAreLeftOut) {
  const InFlightReport told = {
      .round = 1,
      .in_flight = {{"", 1}, {"two\nlines", 1}, {std::string(kLongestReplicaKey + 1, 'x'), 1}}};
  EXPECT_EQ(FormatInFlightReport(told), "1 1\n");
}

TEST(InFlightReportTest, AnythingElseIsRefused) {
  for (const char* text :
       {"", "1", "1 7", "2 7\n", "1 07\n", "1 -7\n", "1 7\n\n", "1 7\n0 a\n", "1 7\n1 a",
        "1 7\n1 \n", "1 7\n01 a\n", "1 7\nx a\n", "1 7\n1 a\n2 a\n", "1 7\n1000000001 a\n",
        "1 7\n1 a\x01\n", "1 7\n18446744073709551616 a\n"}) {
    EXPECT_THAT(ParseInFlightReport(text), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(ParseInFlightReport(std::string(kMostReportBytes + 1, '1')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("65537 bytes")));
  std::string many = "1 7\n";
  for (size_t i = 0; i <= kMostReportReplicas; ++i) absl::StrAppend(&many, "1 ", i, "\n");
  EXPECT_THAT(ParseInFlightReport(many),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("1025 replicas")));
}

}  // namespace
}  // namespace penstock::router
