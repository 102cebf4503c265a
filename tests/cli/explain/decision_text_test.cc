#include "cli/explain/decision_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::cli {
namespace {

using ::testing::HasSubstr;

TEST(DecisionTextTest, ABudgetThatNobodySetIsNone) {
  v1::Decision decision;
  decision.set_objective("quality");
  EXPECT_THAT(DecisionText(decision),
              HasSubstr("objective quality, latency budget none, energy budget none\n"));
}

TEST(DecisionTextTest, ABudgetThatWasSetHasItsUnit) {
  v1::Decision decision;
  decision.set_objective("energy");
  decision.set_latency_budget_ms(200);
  decision.set_energy_budget_j(0.01);
  EXPECT_THAT(DecisionText(decision),
              HasSubstr("objective energy, latency budget 200 ms, energy budget 0.01 J\n"));
}

TEST(DecisionTextTest, TellsEachExpertAndWhyNot) {
  v1::Decision decision;
  v1::Candidate& small = *decision.add_candidates();
  small.set_expert("small");
  small.set_energy_j(0.002);
  v1::Candidate& large = *decision.add_candidates();
  large.set_expert("large");
  large.set_excluded("energy");
  v1::Run& run = *decision.add_runs();
  run.set_expert("small");
  run.set_weight(0.75);
  EXPECT_THAT(DecisionText(decision), testing::ContainsRegex("\nsmall +0 +0 +0 +2 +0.75"));
  EXPECT_THAT(DecisionText(decision), testing::ContainsRegex("\nlarge .* - +energy\n"));
}

TEST(DecisionTextTest, SaysWhyNoDearAnswerMayBeAskedFor) {
  v1::Decision decision;
  decision.set_tenant("acme");
  EXPECT_THAT(DecisionText(decision), testing::Not(HasSubstr("no answer may take more")));
  decision.set_largest_answer_j(0);
  EXPECT_THAT(DecisionText(decision), HasSubstr("no answer may take more than 0 J, but for the "
                                                "cheapest expert's: tenant acme was once"));
}

}  // namespace
}  // namespace penstock::cli
