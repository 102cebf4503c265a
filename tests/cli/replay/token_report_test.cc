#include "cli/replay/token_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using testing::HasSubstr;

TokenReport Report() {
  TokenReport report;
  report.outcomes.experts = {"small", "large"};
  report.outcomes.ids = {"a"};
  report.outcomes.cells.resize(2);
  report.outcomes.cells[0].quality = 1;
  for (const double latency : {1.0, 3.0, 5.0}) {
    router::TokenRun run;
    run.arrived_s = run.started_s = 10;
    run.finished_s = 10 + latency;
    run.deadline_s = 4;
    run.predicted_s = 2;
    run.joules = 6;
    run.promised = latency < 4;
    report.result.runs.push_back(run);
  }
  report.promise = 0.95;
  report.load = 0.7;
  report.counted_from_s = 10;
  report.promises = router::MakePromiseReport(report.result, report.outcomes, 10);
  return report;
}

TEST(TokenReportTest, TellsWhatWasPromisedAndKept) {
  const std::string text = FormatTokenReport(Report());
  EXPECT_THAT(text, testing::ContainsRegex("answered within the predicted quantile +33.33 %"));
  EXPECT_THAT(text, testing::ContainsRegex("promised +66.67 %"));
  EXPECT_THAT(text, testing::ContainsRegex("promised deadlines met +100.00 %"));
  EXPECT_THAT(text, testing::ContainsRegex("unpromised deadlines met +0.00 %"));
  EXPECT_THAT(text, testing::ContainsRegex("small +100.00 % +0 +3 +6"));
  // Nobody had enough requests to be judged.
  EXPECT_THAT(text, testing::ContainsRegex("worst expert +-"));
}

TEST(TokenReportTest, TheJsonHasTheSameFigures) {
  const auto json = nlohmann::json::parse(TokenReportJson(Report()));
  EXPECT_EQ(json.at("requests"), 3);
  EXPECT_DOUBLE_EQ(json.at("promised_hit_share"), 1);
  EXPECT_DOUBLE_EQ(json.at("shares").at("small"), 1);
  EXPECT_TRUE(json.at("worst_expert_coverage").is_null());
}

}  // namespace
}  // namespace penstock::cli
