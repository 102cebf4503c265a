#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/simulation/arrival_trace.h"
#include "router_service/simulation/csv_table.h"
#include "router_service/simulation/expert_profile.h"
#include "router_service/simulation/outcome_file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(CsvLineTest, ReadsQuotedCells) {
  std::vector<std::string> cells;
  EXPECT_TRUE(SplitCsvLine(R"(a,"b,""c""",,d)", cells));
  EXPECT_THAT(cells, ElementsAre("a", "b,\"c\"", "", "d"));
  EXPECT_TRUE(SplitCsvLine("a,", cells));
  EXPECT_THAT(cells, ElementsAre("a", ""));
  EXPECT_FALSE(SplitCsvLine("a,\"b", cells));
  EXPECT_FALSE(SplitCsvLine("\"a\"b", cells));
}

TEST(ArrivalTraceTest, CountsSecondsFromTheFirst) {
  MalformedRows malformed(0);
  ASSERT_OK_AND_ASSIGN(const auto trace,
                       ParseArrivalTrace("t.csv", "x,t_ms\n1,500\r\n2,1500\n\n3,1500\n", malformed));
  EXPECT_THAT(trace.at_s, ElementsAre(0, 1, 1));
}

TEST(ArrivalTraceTest, SkipsAndNamesMalformedRowsUpToTheLimit) {
  const std::string text = "t_ms\n0\nsoon\n5\n4\n6,7\n";
  MalformedRows three(3);
  ASSERT_OK_AND_ASSIGN(const auto trace, ParseArrivalTrace("t.csv", text, three));
  EXPECT_EQ(trace.at_s.size(), 2);
  EXPECT_EQ(three.count(), 3);
  EXPECT_THAT(three.named(), ElementsAre(HasSubstr("t.csv:3: t_ms is \"soon\""),
                                         HasSubstr("t.csv:5: t_ms goes back"),
                                         HasSubstr("t.csv:6: 2 cells")));
  MalformedRows two(2);
  EXPECT_THAT(ParseArrivalTrace("t.csv", text, two),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("3 malformed rows"), HasSubstr("at most 2"))));
}

TEST(ArrivalTraceTest, FasterKeepsItsLength) {
  const ArrivalTrace trace{{0, 1, 4}};
  EXPECT_THAT(trace.Faster(2).at_s, ElementsAre(0, 0.5, 2, 2, 2.5, 4));
}

TEST(ArrivalTraceTest, OverlaidStreamsAreShiftedAndWrapRound) {
  const ArrivalTrace trace{{0, 1, 4}};
  EXPECT_THAT(trace.Overlaid(2).at_s, ElementsAre(0, 1, 2, 2, 3, 4));
  EXPECT_THAT(trace.Overlaid(1).at_s, ElementsAre(0, 1, 4));
}

TEST(ArrivalTraceTest, OverlaidMayTakeAPartOfTheLastStream) {
  ArrivalTrace trace;
  for (int i = 0; i < 1000; ++i) trace.at_s.push_back(i);
  EXPECT_EQ(trace.Overlaid(2.25).at_s.size(), 2250);
  EXPECT_EQ(trace.Overlaid(0.5).at_s.size(), 500);
  EXPECT_LE(trace.Overlaid(2.25).seconds(), trace.seconds());
}

TEST(ArrivalTraceTest, SaysWhichColumnIsMissing) {
  MalformedRows malformed(0);
  EXPECT_THAT(ParseArrivalTrace("t.csv", "time\n1\n", malformed),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("wanted a column t_ms")));
}

TEST(OutcomeFileTest, ReadsCsvOfAnswers) {
  MalformedRows malformed(0);
  ASSERT_OK_AND_ASSIGN(
      const auto outcomes,
      ParseOutcomes("o.csv", "id,expert,quality,joules\na,s,1,2\nb,s,0,3\na,l,0.5,\n", malformed));
  EXPECT_THAT(outcomes.experts, ElementsAre("s", "l"));
  EXPECT_THAT(outcomes.ids, ElementsAre("a", "b"));
  EXPECT_EQ(outcomes.Row(1)[0].joules, 3);
  EXPECT_EQ(outcomes.Row(0)[1].quality, 0.5f);
  EXPECT_TRUE(std::isnan(outcomes.Row(0)[1].joules));
  EXPECT_TRUE(std::isnan(outcomes.Row(1)[1].quality)) << "was not asked";
}

TEST(OutcomeFileTest, ReadsJsonLines) {
  MalformedRows malformed(1);
  ASSERT_OK_AND_ASSIGN(
      const auto outcomes,
      ParseOutcomes("o.jsonl",
                    "{\"id\": 7, \"experts\": {\"s\": {\"quality\": 1, \"joules\": 2}}}\n"
                    "{\"id\": 8, \"experts\": {\"s\": {\"quality\": \"good\"}}}\n"
                    "{\"id\": 9, \"experts\": {\"s\": {\"quality\": null}, \"l\": {\"quality\": 0}}}\n",
                    malformed));
  EXPECT_THAT(outcomes.ids, ElementsAre("7", "9"));
  EXPECT_EQ(outcomes.Row(0)[0].joules, 2);
  EXPECT_THAT(malformed.named(), ElementsAre(HasSubstr("o.jsonl:2: experts.s.quality")));
}

TEST(OutcomeFileTest, AnAnswerThatStandsTwiceIsMalformed) {
  MalformedRows malformed(5);
  ASSERT_OK_AND_ASSIGN(const auto outcomes,
                       ParseOutcomes("o.csv", "id,expert,quality\na,s,1\na,s,0\na,s,2\n", malformed));
  EXPECT_EQ(outcomes.Row(0)[0].quality, 1);
  EXPECT_EQ(malformed.count(), 2);
}

TEST(OutcomeFileTest, ProfilesAndMeansCompleteIt) {
  MalformedRows malformed(0);
  ASSERT_OK_AND_ASSIGN(
      auto outcomes,
      ParseOutcomes("o.csv", "id,expert,quality,tokens\na,s,1,100\nb,s,0,300\n", malformed));
  EXPECT_THAT(Complete(outcomes, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("joules of s")));
  const ExpertProfile profile{.name = "s", .joules_per_token = 0.5, .seconds_per_token = 0.01};
  ASSERT_OK_AND_ASSIGN(const Completion completion, Complete(outcomes, {&profile, 1}));
  EXPECT_EQ(completion.joules_from_profile, 2);
  EXPECT_EQ(completion.predictions_from_means, 2);
  EXPECT_EQ(outcomes.Row(1)[0].joules, 150);
  EXPECT_EQ(outcomes.Row(1)[0].seconds, 3);
  EXPECT_EQ(outcomes.Row(1)[0].predicted_joules, 100);
  EXPECT_EQ(outcomes.Row(1)[0].predicted_quality, 0.5f);
}

TEST(OutcomeFileTest, EstimatesMustCoverEveryAnswer) {
  TempDir dir;
  MalformedRows malformed(0);
  ASSERT_OK_AND_ASSIGN(
      auto outcomes,
      ParseOutcomes("o.csv", "id,expert,quality,joules\na,s,1,2\nb,s,0,3\n", malformed));
  dir.Write("e.csv", "id,model,q,cost\na,s,0.9,2.5\nother,s,0.1,1\n");
  EXPECT_THAT(ReadEstimates(dir.File("e.csv"), outcomes, malformed),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("s for request b")));
  dir.Write("e.csv", "id,model,q,cost\na,s,0.9,2.5\nb,s,-0.1,1\n");
  EXPECT_THAT(ReadEstimates(dir.File("e.csv"), outcomes, malformed), IsOk());
  EXPECT_FLOAT_EQ(outcomes.Row(0)[0].predicted_joules, 2.5f);
}

TEST(ExpertProfileTest, ReadsAList) {
  ASSERT_OK_AND_ASSIGN(const auto profiles,
                       ParseExpertProfiles("p.yaml",
                                           "experts:\n- {name: s, joules_per_token: 0.5, slots: 4}\n"
                                           "- name: l\n  idle_watts: 90\n"));
  ASSERT_EQ(profiles.size(), 2);
  EXPECT_EQ(profiles[0].slots, 4);
  EXPECT_EQ(profiles[1].idle_watts, 90);
}

TEST(ExpertProfileTest, SaysWhatIsWrongAndWhere) {
  const auto error = [](const std::string& text) {
    return std::string(ParseExpertProfiles("p.yaml", text).status().message());
  };
  EXPECT_THAT(error("experts:\n- {name: s}\n- {nmae: l}\n"), HasSubstr("p.yaml:3: experts[1].nmae"));
  EXPECT_THAT(error("experts:\n- {name: s, slots: -1}\n"), HasSubstr("experts[0].slots is \"-1\""));
  EXPECT_THAT(error("experts:\n- {name: s}\n- {name: s}\n"), HasSubstr("stands twice"));
  EXPECT_THAT(error("experts: 3\n"), HasSubstr("wanted a map with one key"));
  EXPECT_THAT(error("experts: [\n"), HasSubstr("p.yaml:"));
}

}  // namespace
}  // namespace penstock::router
