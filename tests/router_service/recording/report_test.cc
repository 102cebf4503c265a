// Reports of decisions that the log does not keep, and what its folder holds that memory does not.

#include <array>

#include "gtest/gtest.h"
#include "router_service/recording/answered_expert.h"
#include "router_service/recording/decision_log.h"
#include "tests/router_service/recording/logged_lines.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using absl::StatusCode;

std::unique_ptr<DecisionLog> Log(const std::string& folder, bool features = false) {
  static const FakeClock clock;
  config::v1::DecisionLog config;
  config.set_capacity(2);
  config.set_directory(folder);
  config.set_features(features);
  auto log = DecisionLog::Create(config, 7, clock);
  EXPECT_THAT(log.status(), IsOk());
  return *std::move(log);
}

std::shared_ptr<v1::Decision> Decision(const DecisionLog& log, uint64_t sequence) {
  auto decision = std::make_shared<v1::Decision>();
  decision->set_id(log.IdOf(sequence).ToString());
  decision->set_pool("p");
  decision->set_tenant("acme");
  return decision;
}

TEST(ReportTest, OfADecisionThatIsNotKeptGoesToTheFolderWithItsTenant) {
  const TempDir dir;
  const std::string folder = dir.File("decisions");
  const std::string foreign = DecisionId{1, 1}.ToString();
  {
    const auto log = Log(folder);
    EXPECT_THAT(log->Report(foreign, 0.25, "acme"), IsOk());
    EXPECT_THAT(log->Report(log->IdOf(9).ToString(), 1), IsOk());
    EXPECT_EQ(log->Report(foreign, 1.5, "acme").code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(log->Report("nonsense", 0.5, "acme").code(), StatusCode::kInvalidArgument);
  }
  const auto lines = DecisionsIn(folder);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].id(), foreign);
  EXPECT_EQ(lines[0].tenant(), "acme");
  EXPECT_EQ(lines[0].reported_quality(), 0.25);
  EXPECT_EQ(lines[1].tenant(), "");
}

TEST(ReportTest, WithoutAFolderADecisionThatIsNotKeptIsNotFound) {
  const auto log = Log("");
  EXPECT_EQ(log->Report(DecisionId{1, 1}.ToString(), 0.25).code(), StatusCode::kNotFound);
}

TEST(ReportTest, OnlyTheFirstOfADecisionIsItsFirst) {
  const auto log = Log("");
  log->Append(Decision(*log, 1));
  SharedDecision first;
  EXPECT_THAT(log->Report(log->IdOf(1).ToString(), 0.25, "acme", &first), IsOk());
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->reported_quality(), 0.25);
  SharedDecision second;
  EXPECT_THAT(log->Report(log->IdOf(1).ToString(), 0.75, "acme", &second), IsOk());
  EXPECT_EQ(second, nullptr);
  EXPECT_EQ((*log->Find(log->IdOf(1).ToString()))->reported_quality(), 0.75);
}

TEST(FeaturesTest, AreInTheFolderAndNeitherInMemoryNorWithWatchers) {
  const TempDir dir;
  const std::string folder = dir.File("decisions");
  {
    const auto log = Log(folder, /*features=*/true);
    EXPECT_TRUE(log->exports_features());
    const auto watch = log->Watch("", [] {});
    auto features = std::make_unique<v1::Features>();
    features->set_dimension(2);
    features->add_values(0.5f);
    features->add_values(-1);
    log->Append(Decision(*log, 1), std::move(features));
    EXPECT_FALSE((*log->Find(log->IdOf(1).ToString()))->has_features());
    EXPECT_FALSE(watch->TryNext()->has_features());
  }
  const auto lines = DecisionsIn(folder);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].features().values(1), -1);
}

v1::Decision Runs(const std::vector<std::array<const char*, 3>>& runs) {
  v1::Decision decision;
  for (const auto& [expert, reason, status] : runs) {
    v1::Run& run = *decision.add_runs();
    run.set_expert(expert);
    run.set_reason(reason);
    run.set_status(status);
  }
  return decision;
}

std::string Answered(const std::vector<std::array<const char*, 3>>& runs) {
  const v1::Decision decision = Runs(runs);
  const v1::Run* const run = AnsweredRun(decision);
  return run == nullptr ? "(nobody)" : run->expert();
}

TEST(AnsweredExpertTest, IsTheOneWhoseAnswerCameBack) {
  EXPECT_EQ(Answered({{"a", "chosen", "OK"}}), "a");
  EXPECT_EQ(Answered({{"a", "chosen", "UNAVAILABLE"}, {"b", "retry", "OK"}}), "b");
  EXPECT_EQ(Answered({{"a", "chosen", "OK"}, {"b", "escalation", "OK"}}), "b");
  EXPECT_EQ(Answered({{"a", "chosen", "OK"}, {"b", "escalation", "INTERNAL"}}), "a");
  EXPECT_EQ(Answered({{"a", "chosen", "OK"}, {"a", "verification", "OK"}}), "a");
  EXPECT_EQ(Answered({{"a", "chosen", "OK"}, {"b", "chosen", "INTERNAL"}}), "a");
}

// Beside a tenant's own expert the taken answer has all of the weight.
TEST(AnsweredExpertTest, OfTwoThatAnsweredIsTheOneWhoseAnswerWasTaken) {
  v1::Decision decision = Runs({{"a", "chosen", "OK"}, {"own", "local", "OK"}});
  decision.mutable_runs(0)->set_weight(1);
  ASSERT_NE(AnsweredRun(decision), nullptr);
  EXPECT_EQ(AnsweredRun(decision)->expert(), "a");
  decision.mutable_runs(0)->set_weight(0);
  decision.mutable_runs(1)->set_weight(1);
  ASSERT_NE(AnsweredRun(decision), nullptr);
  EXPECT_EQ(AnsweredRun(decision)->expert(), "own");
}

TEST(PropensityTest, IsOfTheExpertThatWasChosenFirst) {
  v1::Decision decision = Runs({{"a", "chosen", "UNAVAILABLE"}, {"b", "retry", "OK"}});
  EXPECT_FALSE(PropensityOf(decision, decision.runs(0)).has_value());
  decision.set_propensity(0.25);
  EXPECT_EQ(PropensityOf(decision, decision.runs(0)), 0.25);
  EXPECT_FALSE(PropensityOf(decision, decision.runs(1)).has_value());
  // Another replica of the chosen one.
  decision.mutable_runs(1)->set_expert("a");
  EXPECT_EQ(PropensityOf(decision, decision.runs(1)), 0.25);
}

TEST(AnsweredExpertTest, IsNobodyWhereAnswersAreCombinedOrNoneCame) {
  EXPECT_EQ(Answered({{"a", "chosen", "OK"}, {"b", "chosen", "OK"}}), "(nobody)");
  EXPECT_EQ(Answered({{"a", "chosen", "OK"}, {"b", "chosen", "INTERNAL"}, {"b", "retry", "OK"}}),
            "(nobody)");
  EXPECT_EQ(Answered({{"a", "chosen", "INTERNAL"}}), "(nobody)");
  EXPECT_EQ(Answered({}), "(nobody)");
}

}  // namespace
}  // namespace penstock::router
