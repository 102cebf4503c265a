#include "cli/replay/replay_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::cli {
namespace {

using ::testing::ContainsRegex;

ReplayReport HalfSpent() {
  ReplayReport report;
  report.spend.requests = 10;
  report.spend.refused = 4;
  report.spend.spend_error = -0.5;
  return report;
}

TEST(ReplayReportTest, SaysOfWhatTheSpendingIsCounted) {
  ReplayReport report = HalfSpent();
  report.target.joules_per_request = 2;
  // Below the budget: what was refused counts neither as spent nor as budget.
  EXPECT_THAT(FormatReplayReport(report),
              ContainsRegex("joules over \\(\\+\\) or under \\(-\\) budget x requests that ran +-50.00 %"));
  report.spend.spend_error = 0.0125;
  EXPECT_THAT(FormatReplayReport(report), ContainsRegex("requests that ran +\\+1.25 %"));
}

TEST(ReplayReportTest, OfWattsItIsCountedOverTheArrivals) {
  ReplayReport report = HalfSpent();
  report.target.watts = 40;
  EXPECT_THAT(FormatReplayReport(report),
              ContainsRegex("joules over \\(\\+\\) or under \\(-\\) watts x seconds of arrivals +-50.00 %"));
}

}  // namespace
}  // namespace penstock::cli
