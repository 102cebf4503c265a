// A tenant that may not have the dearest answer: its decisions are made again from the log.
#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/pipeline_tests/logged_decisions.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

// zeta once took far more than its part of .4 J a request; then it may not have an answer that may
// take 30 J, 75 requests' worth.
class DecisionsOfADebtor : public LoggedDecisions {
 protected:
  void BuildBounded(const std::string& experts, const std::string& more = "") {
    Replica("huge:1").facts = ModelFacts(0.010, 1.2);
    Build(absl::StrCat("pools:\n- name: pool\n  experts:\n", experts,
                       "  budgets: [{resource: JOULES, amount: 0.4, per: REQUEST, ",
                       "bound_tenants: true}]\n", more, LogYaml()));
    Target("small:1").AnswerWith(MakeReply(1, 0.97f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.99f, 1.0));
    Target("huge:1").AnswerWith(MakeReply(1, 0.99f, 1.2));
  }
  void AskAs(const std::string& tenant, const std::string& expert, int times) {
    for (int i = 0; i < times; ++i) {
      std::vector<OutParameter> parameters;
      if (!expert.empty()) parameters.push_back({"penstock_experts", expert});
      EXPECT_THAT(Ask(MakeRequest(1, parameters), Rights({.forced_experts = true}, tenant)).status,
                  IsOk());
    }
  }
};

TEST_F(DecisionsOfADebtor, KeepFromTheDearestAnswerAndAreMadeAgain) {
  BuildBounded(R"(
  - {name: small, quality: 0.8, largest_joules_per_row: 0.2, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.9, largest_joules_per_row: 3, replicas: [{address: "big:1"}]}
  - {name: huge, quality: 0.95, largest_joules_per_row: 30, replicas: [{address: "huge:1"}]}
)");
  AskAs("acme", "small", 200);
  AskAs("zeta", "big", 19);  // 1.4 requests' worth beyond 1.1 each: 26.6
  AskAs("zeta", "", 5);
  AskAs("acme", "", 5);
  EXPECT_FALSE(Last().has_largest_answer_j());
  const std::vector<std::string> lines = Lines();
  const DecisionReplayReport report = Replay(lines);
  EXPECT_EQ(report.decisions, 229u);
  EXPECT_EQ(report.reproduced, 229u) << First(report);
  EXPECT_EQ(report.mismatches.count(), 0u) << First(report);
  const std::vector<v1::Decision> decisions = ChosenOf(lines);
  ASSERT_EQ(decisions.size(), 229u);
  for (size_t i = 219; i < 229; ++i) {
    const v1::Decision& decision = decisions[i];
    ASSERT_EQ(decision.candidates_size(), 3);
    if (decision.tenant() == "acme") {
      EXPECT_EQ(decision.runs(0).expert(), "huge");
      continue;
    }
    EXPECT_LT(decision.largest_answer_j(), 30);
    EXPECT_EQ(decision.candidates(2).excluded(), "largest answer");
    EXPECT_EQ(decision.candidates(1).excluded(), "");
    EXPECT_EQ(decision.runs(0).expert(), "big");
    EXPECT_EQ(decision.degraded(), "budget");
  }
  // Without what the record says of the largest answers, another choice comes out.
  std::vector<std::string> changed = lines;
  const auto last = std::find_if(changed.rbegin(), changed.rend(), [](const std::string& line) {
    return line.find("\"largest_j\":[") != std::string::npos;
  });
  ASSERT_NE(last, changed.rend());
  const size_t at = last->find("\"largest_j\":[");
  last->replace(at, last->find(']', at) - at, "\"largest_j\":[0.2,3,3");
  const DecisionReplayReport other = Replay(changed);
  EXPECT_EQ(other.reproduced, 228u);
  EXPECT_THAT(First(other), HasSubstr("choice.verdict: degraded / chosen"));
}

TEST_F(DecisionsOfADebtor, OfACascadeKeepFromTheDearestAnswerAndAreMadeAgain) {
  BuildBounded(R"(
  - {name: small, quality: 0.8, largest_joules_per_row: 0.2, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.95, largest_joules_per_row: 30, replicas: [{address: "big:1"}]}
)",
               absl::StrCat("  cascade: {first: small, file: ", CascadeFile(), "}\n"));
  AskAs("acme", "", 200);
  Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
  AskAs("zeta", "", 30);  // 1.65 requests' worth beyond 1.1 each, while it may go on to big
  const std::vector<std::string> lines = Lines();
  const DecisionReplayReport report = Replay(lines);
  EXPECT_EQ(report.reproduced, 230u) << First(report);
  EXPECT_EQ(report.mismatches.count(), 0u) << First(report);
  size_t escalated = 0, stopped = 0;
  for (const v1::Decision& decision : ChosenOf(lines)) {
    for (const v1::FollowUp& follow_up : decision.choice().follow_ups()) {
      if (follow_up.has_option()) {
        ++escalated;
      } else if (follow_up.stopped_by_budget() && follow_up.largest_j() < 30) {
        ++stopped;
        EXPECT_EQ(decision.degraded(), "budget");
      }
    }
  }
  EXPECT_GE(escalated, 16u);
  EXPECT_GE(stopped, 5u);
}

}  // namespace
}  // namespace penstock::router
