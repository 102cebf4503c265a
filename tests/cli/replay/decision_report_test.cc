#include "cli/replay/decision_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

router::DecisionReplayReport Report() {
  router::DecisionReplayReport report;
  report.decisions = 8;
  report.reproduced = 6;
  report.mismatched = 1;
  report.not_replayed["row by row"] = 1;
  report.events = 40;
  report.incomplete.push_back("3 lines were lost");
  report.mismatches.Same("0000001a-0000000000000007", "choice.net_worth", 0.1, 0.2);
  return report;
}

TEST(DecisionReportTest, SaysWhatWasReproducedAndWhatWasNot) {
  const std::string text = FormatDecisionReplay(Report());
  EXPECT_THAT(text, HasSubstr("8 decisions, 6 reproduced to the last bit (75.00 %), 1 mismatched"));
  EXPECT_THAT(text, HasSubstr("not replayed: 1, row by row"));
  EXPECT_THAT(text, HasSubstr("incomplete: 3 lines were lost"));
  EXPECT_THAT(text,
              HasSubstr("0000001a-0000000000000007: choice.net_worth is 0.10000000000000001"));
}

TEST(DecisionReportTest, SaysNothingOfMismatchesWhereThereIsNone) {
  router::DecisionReplayReport report;
  report.decisions = report.reproduced = 3;
  EXPECT_THAT(FormatDecisionReplay(report), HasSubstr("3 reproduced"));
  EXPECT_THAT(FormatDecisionReplay(report), Not(HasSubstr("otherwise")));
  EXPECT_FALSE(report.failed());
}

TEST(DecisionReportTest, JsonHasTheSame) {
  const nlohmann::json json = nlohmann::json::parse(DecisionReplayJson(Report()));
  EXPECT_EQ(json["decisions"], 8);
  EXPECT_EQ(json["share"], 0.75);
  EXPECT_EQ(json["mismatches"], 1);
  EXPECT_EQ(json["not_replayed"]["row by row"], 1);
  EXPECT_EQ(json["incomplete"][0], "3 lines were lost");
  EXPECT_EQ(json["first_mismatches"][0]["what"], "choice.net_worth");
}

}  // namespace
}  // namespace penstock::cli
