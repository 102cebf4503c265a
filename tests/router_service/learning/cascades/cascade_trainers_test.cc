#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/gating/expert_columns.h"
#include "router_service/learning/cascades/bypass_label.h"
#include "router_service/learning/cascades/cascade_file.h"
#include "router_service/learning/cascades/cascade_trainer.h"
#include "tests/router_service/learning/cascades/synthetic_table.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// small tells which of three kinds a request is: good (.95), needy (.6, large is right), hopeless
// (.3). z is positive where small suffices.
OutcomeTable ThreeKinds(size_t rows, uint64_t seed) {
  return SyntheticTable(rows, seed, [](CounterRandom& random, float& z) {
    const double kind = random.Uniform();
    const bool good = kind < 0.6, needy = kind >= 0.6 && kind < 0.8;
    const float p = good ? 0.95f : needy ? 0.6f : 0.3f;
    z = static_cast<float>((needy ? -1 : 1) + 0.2 * (random.Uniform() - 0.5));
    return std::vector<Outcome>{{good ? 1.0f : 0.0f, {p, 0.25f * (1 - p)}, 1},
                                {good || needy ? 1.0f : 0.0f, {0.9f, 0.1f}, 10}};
  });
}

struct Trained {
  absl::Status status;
  CascadePolicyReport report;
};

Trained Train(const std::string& policy, const OutcomeTable& train, const OutcomeTable& heldout,
              std::vector<size_t> stages, double risk = 0, double tradeoff = 0.7) {
  const std::vector<int> fold = FoldsOf(train);
  CascadeParts parts;
  parts.pairs = FitCascade(train, fold, 5);
  parts.errors = CalibrationErrors(parts.pairs, heldout);
  parts.fixed = FitFixedConfidence(train, 0);
  parts.policy_name = policy;
  auto trained =
      FindCascadeTrainer(policy)->train({train, fold, 5, parts.pairs, stages, risk, tradeoff});
  if (!trained.ok()) return {trained.status(), {}};
  parts.policy = *std::move(trained);
  std::vector<std::string> names;
  for (const size_t stage : stages) names.push_back(train.experts[stage]);
  std::optional<CascadeFile> file = MakeCascadeFile(parts, train.experts, names, nullptr);
  file->metadata["experts"] = ExpertsMetadata(train.experts);
  static int files = 0;
  const std::string path = absl::StrCat(ProcessTempDir(), "policy", ++files, ".safetensors");
  EXPECT_TRUE(WriteSafetensors(path, file->tensors, file->metadata).ok());
  const auto cascade = CascadeQuality::Open(path, train.experts);
  if (!cascade.ok()) return {cascade.status(), {}};
  return {absl::OkStatus(), EvaluateStages(**cascade, heldout, stages)};
}

TEST(TrainAutomix, APerfectVerifierFindsTheOraclePolicy) {
  const OutcomeTable heldout = ThreeKinds(500, 8);
  const Trained trained = Train("automix", ThreeKinds(1500, 7), heldout, {0, 1});
  ASSERT_TRUE(trained.status.ok()) << trained.status;
  // Only the needy go on: everything that can be right is, at 10 J for a fifth of the requests.
  EXPECT_NEAR(trained.report.served.quality, trained.report.last.quality, 1e-6);
  double needy = 0;
  for (size_t row = 0; row < heldout.rows(); ++row) {
    needy += heldout.quality[heldout.At(1, row)] - heldout.quality[row];
  }
  needy /= static_cast<double>(heldout.rows());
  EXPECT_NEAR(trained.report.asked[1], needy, 1e-9);
  EXPECT_NEAR(trained.report.served.mean_cost.value(), 1 + 10 * needy, 1e-4);
}

TEST(TrainAutomix, WithNothingToGainEveryFirstAnswerStands) {
  const auto same = [](CounterRandom& random, float&) {
    const float p = random.Uniform() < 0.5 ? 0.9f : 0.6f;
    const float right = random.Uniform() < p ? 1.0f : 0.0f;
    return std::vector<Outcome>{{right, {p, 1 - p}, 1}, {right, {p, 1 - p}, 10}};
  };
  const Trained trained =
      Train("automix", SyntheticTable(500, 1, same), SyntheticTable(200, 2, same), {0, 1});
  ASSERT_TRUE(trained.status.ok()) << trained.status;
  EXPECT_EQ(trained.report.asked[1], 0);
}

TEST(TrainAutomix, WantsTwoStagesAndCosts) {
  OutcomeTable table = ThreeKinds(500, 7);
  EXPECT_THAT(std::string(Train("automix", table, table, {0, 1, 1}).status.message()),
              HasSubstr("wanted 2"));
  table.cost_unit.clear();
  EXPECT_THAT(std::string(Train("automix", table, table, {0, 1}).status.message()),
              HasSubstr("against cost"));
}

TEST(TrainExitGates, LetsGoWhatALaterStageCannotHelp) {
  const Trained trained = Train("jei", ThreeKinds(1500, 7), ThreeKinds(500, 8), {0, 1}, 0, 0.3);
  ASSERT_TRUE(trained.status.ok()) << trained.status;
  // The good leave at once; four features of one gate cannot tell both ends from the middle by a
  // plane in max p alone, but the entropy can.
  EXPECT_GT(trained.report.served.quality, trained.report.by_chance.value() + 0.05);
  EXPECT_LT(trained.report.asked[1], 0.5);
}

TEST(TrainExitGates, ALargeTradeoffLeavesAtTheFirstStage) {
  const Trained trained = Train("jei", ThreeKinds(1500, 7), ThreeKinds(500, 8), {0, 1}, 0, 1e6);
  ASSERT_TRUE(trained.status.ok()) << trained.status;
  EXPECT_EQ(trained.report.asked[1], 0);
  EXPECT_NEAR(trained.report.answered[0], 1, 1e-9);
}

TEST(TrainBypass, KeepsItsRiskOnRequestsNotSeen) {
  double risk = 0;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Trained trained =
        Train("bypass", ThreeKinds(1500, seed), ThreeKinds(2000, 100 + seed), {0, 1}, 0.05);
    ASSERT_TRUE(trained.status.ok()) << trained.status;
    risk += (trained.report.last.quality - trained.report.served.quality) / 5;
    // The two stages are never both asked.
    EXPECT_NEAR(trained.report.asked[0] + trained.report.asked[1], 1, 1e-9);
    EXPECT_LE(trained.report.served.mean_cost.value(), 11);
    EXPECT_GT(trained.report.asked[0], 0.5);
  }
  // 10,000 rows: three standard errors of a loss of .05 are .0066.
  EXPECT_LE(risk, 0.05 + 0.0066);
}

TEST(TrainBypass, ARiskThatTheRowsCannotKeepGoesToTheLastStage) {
  const Trained trained = Train("bypass", ThreeKinds(400, 1), ThreeKinds(200, 2), {0, 1}, 0.001);
  ASSERT_TRUE(trained.status.ok()) << trained.status;
  EXPECT_EQ(trained.report.asked[0], 0);
  EXPECT_EQ(trained.report.served.quality, trained.report.last.quality);
}

TEST(NeedsSecond, IsTheTruthTable) {
  EXPECT_EQ(NeedsSecond(1, 1), false);
  EXPECT_EQ(NeedsSecond(1, 0), false);
  EXPECT_EQ(NeedsSecond(0, 1), true);
  EXPECT_EQ(NeedsSecond(0, 0), std::nullopt);
}

TEST(CascadeTrainers, AreFoundByName) {
  for (const CascadeTrainer& trainer : CascadeTrainers()) {
    EXPECT_EQ(FindCascadeTrainer(trainer.name), &trainer);
  }
  EXPECT_EQ(CascadeTrainers().size(), 3u);
  EXPECT_EQ(FindCascadeTrainer("risk"), nullptr);
}

TEST(EvaluateStages, AFigureThatThereIsNotIsLeftOut) {
  OutcomeTable heldout = ThreeKinds(500, 8);
  std::fill(heldout.cost.begin(), heldout.cost.end(), std::nanf(""));
  Trained trained = Train("jei", ThreeKinds(1500, 7), heldout, {0, 1}, 0, 0.3);
  ASSERT_TRUE(trained.status.ok()) << trained.status;
  CascadePolicyReport& policy = trained.report;
  EXPECT_EQ(policy.rows, 500u);
  EXPECT_GT(policy.served.quality, 0);
  for (const QualityAtCost& point : {policy.served, policy.first, policy.last}) {
    EXPECT_FALSE(point.mean_cost.has_value());
  }
  EXPECT_FALSE(policy.by_price.has_value());
  EXPECT_FALSE(policy.by_chance.has_value());
  TrainReport report;
  report.cascade_policy = policy;
  const std::string text = FormatTrainReport(report);
  EXPECT_THAT(text, HasSubstr("quality"));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
  EXPECT_THAT(text, Not(HasSubstr("at that cost")));
  // A bypass reads no confidence: chance is known, price is not.
  policy.served.mean_cost = 2;
  policy.by_chance = 0.5;
  report.cascade_policy = policy;
  EXPECT_THAT(FormatTrainReport(report), HasSubstr("quality 0.5000 by chance"));
  report.cascade_policy->rows = 0;
  EXPECT_THAT(FormatTrainReport(report), Not(HasSubstr("alone")));
}

}  // namespace
}  // namespace penstock::router
