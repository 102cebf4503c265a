#include "common/config/yaml_config.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/guards/pool_guards.h"
#include "router_service/planning/live/pool_planner.h"
#include "router_service/selection/selector.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SelectionCandidate Expert(double score, double energy_j) {
  SelectionCandidate candidate;
  candidate.score = candidate.quality = score;
  candidate.weight = 0.5;
  candidate.latency_s = candidate.idle_latency_s = 0.01;
  candidate.energy_j = energy_j;
  return candidate;
}

// small: .6, 1 J; middle: .7, 4 J; large: .9, 60 J and mandatory.
class MandatoryExperts : public ::testing::Test {
 protected:
  void Select() { selector_.Select(absl::MakeSpan(experts_), limits_, result_); }
  size_t Chosen() const { return result_.chosen.size() == 1 ? result_.chosen[0].expert : 99; }

  const std::vector<uint8_t> mandatory_ = {0, 0, 1};
  std::vector<SelectionCandidate> experts_ = {Expert(0.6, 1), Expert(0.7, 4), Expert(0.9, 60)};
  SelectionLimits limits_;
  Selector selector_;
  SelectionResult result_;
};

TEST_F(MandatoryExperts, NoBudgetTakesThemAway) {
  limits_.headroom_j = 5;
  Select();
  EXPECT_EQ(Chosen(), 1u);
  EXPECT_EQ(experts_[2].excluded, Exclusion::kBudget);
  experts_[2].excluded = Exclusion::kNone;
  limits_.beyond_headroom = mandatory_;
  Select();
  EXPECT_EQ(Chosen(), 2u);
  EXPECT_EQ(result_.degraded, Degraded::kNone);
  EXPECT_EQ(experts_[2].excluded, Exclusion::kNone);
}

TEST_F(MandatoryExperts, APriceMakesThemWorthLessAndKeepsThemIn) {
  limits_.beyond_headroom = mandatory_;
  limits_.headroom_j = 5;
  limits_.price_per_joule = 0.02;
  Select();
  EXPECT_EQ(Chosen(), 1u);
  EXPECT_EQ(experts_[2].excluded, Exclusion::kNone);
}

TEST_F(MandatoryExperts, TheRequestsOwnLimitsAndHealthStillBind) {
  limits_.beyond_headroom = mandatory_;
  limits_.energy_cap_j = 10;
  limits_.headroom_j = 5;
  Select();
  EXPECT_EQ(Chosen(), 1u);
  EXPECT_EQ(experts_[2].excluded, Exclusion::kEnergyBudget);
  limits_.energy_cap_j = SelectionLimits::kNone;
  experts_[2].excluded = Exclusion::kUnhealthy;
  Select();
  EXPECT_EQ(Chosen(), 1u);
  EXPECT_EQ(experts_[2].excluded, Exclusion::kUnhealthy);
}

TEST_F(MandatoryExperts, ReachAQualityThatTheBudgetCannot) {
  limits_.beyond_headroom = mandatory_;
  limits_.headroom_j = 5;
  limits_.min_quality = 0.8;
  limits_.max_experts = 2;
  Select();
  EXPECT_EQ(Chosen(), 2u);
}

// The set that budgets cover, and a mandatory one alone beyond them: against all subsets.
TEST_F(MandatoryExperts, TheBestOfWhatIsCoveredAndOfWhatIsMandatoryRuns) {
  CounterRandom random(3, 1);
  size_t beyond = 0;
  for (int round = 0; round < 500; ++round) {
    std::vector<SelectionCandidate> experts;
    std::vector<uint8_t> mandatory;
    for (int i = 0; i < 6; ++i) {
      experts.push_back(Expert(random.Uniform(), 10 * random.Uniform()));
      mandatory.push_back(random.Below(3) == 0);
    }
    SelectionLimits limits;
    limits.max_experts = 2;
    limits.headroom_j = 8 * random.Uniform();
    limits.price_per_joule = 0.05 * random.Uniform();
    limits.beyond_headroom = mandatory;
    const auto net = [&](size_t i) {
      return experts[i].score - limits.price_per_joule * experts[i].energy_j;
    };
    double best = -1e9;
    for (size_t i = 0; i < 6; ++i) {
      const double alone = experts[i].energy_j;
      if (alone <= limits.headroom_j || mandatory[i]) best = std::max(best, net(i));
      for (size_t j = 0; j < i; ++j) {
        if (alone + experts[j].energy_j <= limits.headroom_j)
          best = std::max(best, net(i) + net(j));
      }
    }
    if (best == -1e9) continue;
    SelectionResult result;
    Selector().Select(absl::MakeSpan(experts), limits, result);
    EXPECT_NEAR(result.objective, best, 1e-12) << "round " << round;
    beyond += result.energy_j > limits.headroom_j ? 1 : 0;
  }
  EXPECT_GT(beyond, 50u);
}

config::v1::Pool PoolOf(const std::string& yaml) {
  config::v1::Pool pool;
  EXPECT_THAT(ReadYaml(yaml, pool), IsOk());
  return pool;
}

constexpr char kThree[] = "name: pool\nexperts: [{name: small}, {name: middle}, {name: large}]\n";

TEST(MandatoryExpertsConfig, NoPlanLeavesThemOut) {
  const auto options = PoolPlanner::ReadOptions(
      PoolOf(std::string(kThree) +
             "classes: {chat: {plan_energy_j: 2}}\n"
             "planning: {required: [middle]}\nguards: {mandatory_experts: [large, middle]}\n"));
  ASSERT_THAT(options.status(), IsOk());
  EXPECT_THAT(options->required, ElementsAre(1, 2));
}

TEST(MandatoryExpertsConfig, NamesAreThePools) {
  const absl::Status status =
      ValidateGuards(PoolOf(std::string(kThree) + "guards: {mandatory_experts: [huge]}\n"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("guards.mandatory_experts: huge is no expert of the pool"));
}

TEST(GuardsConfig, SaysWhatCertifyWants) {
  const absl::Status status =
      ValidateGuards(PoolOf(std::string(kThree) + "guards: {certify: true}\n"));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("guards.certify: wanted granularity REQUEST"));
}

TEST(GuardsConfig, CertifyDoesNotGoWithACountByFeatures) {
  const std::string gated = std::string(kThree) +
                            "gate: {topk_softmax: {file: gate.safetensors}}\n" +
                            "guards: {certify: true}\n";
  EXPECT_THAT(ValidateGuards(PoolOf(gated + "selection: {score: GATE_MASS}\n")), IsOk());
  const absl::Status status = ValidateGuards(
      PoolOf(gated + "selection: {score: GATE_MASS, count_file: count.safetensors}\n"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("guards.certify: does not go with selection.count_file"));
}

TEST(GuardsConfig, FlaggedClassesAreThePools) {
  const absl::Status status =
      ValidateGuards(PoolOf(std::string(kThree) + "guards: {flagged_classes: [red]}\n"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("red is none of the pool's classes"));
  EXPECT_THAT(ValidateGuards(PoolOf(std::string(kThree) +
                                    "classes: {red: {}}\nguards: {flagged_classes: [red]}\n")),
              IsOk());
}

}  // namespace
}  // namespace penstock::router
