// What a set's answers may take at most, as the selector keeps to it.
#include <cmath>
#include <string>
#include <vector>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/selection/selector.h"

namespace penstock::router {
namespace {

using ::testing::UnorderedElementsAre;

SelectionCandidate Expert(double score, double energy_j) {
  SelectionCandidate candidate;
  candidate.score = candidate.quality = score;
  candidate.weight = 0.5;
  candidate.latency_s = candidate.idle_latency_s = 0.01;
  candidate.energy_j = energy_j;
  return candidate;
}

// small: .6, 1 J, 5 at most; middle: .7, 4 J, 20 at most; large: .9, 6 J, 300 at most.
class LargestAnswerSelection : public ::testing::Test {
 protected:
  void SetUp() override { limits_.largest_of = largest_; }
  void Select() {
    for (SelectionCandidate& expert : experts_) expert.excluded = Exclusion::kNone;
    selector_.Select(absl::MakeSpan(experts_), limits_, result_);
  }
  size_t Chosen() const { return result_.chosen.size() == 1 ? result_.chosen[0].expert : 99; }

  std::vector<double> largest_ = {5, 20, 300};
  std::vector<SelectionCandidate> experts_ = {Expert(0.6, 1), Expert(0.7, 4), Expert(0.9, 6)};
  SelectionLimits limits_;
  Selector selector_;
  SelectionResult result_;
};

TEST_F(LargestAnswerSelection, WithoutALimitNobodyIsKeptAway) {
  Select();
  EXPECT_EQ(Chosen(), 2u);
  EXPECT_EQ(result_.degraded, Degraded::kNone);
}

TEST_F(LargestAnswerSelection, TheBestWhoseDearestAnswerFitsRuns) {
  limits_.largest_j = 300;
  Select();
  EXPECT_EQ(Chosen(), 2u);
  limits_.largest_j = 299;
  Select();
  EXPECT_EQ(Chosen(), 1u);
  EXPECT_EQ(result_.verdict, SelectionVerdict::kDegraded);
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
  EXPECT_EQ(experts_[2].excluded, Exclusion::kLargestAnswer);
  EXPECT_EQ(ExclusionName(experts_[2].excluded), "largest answer");
  EXPECT_EQ(experts_[1].excluded, Exclusion::kNone);
}

TEST_F(LargestAnswerSelection, TheCheapestRunsWhateverItMayTake) {
  limits_.largest_j = 0;
  Select();
  EXPECT_EQ(Chosen(), 0u);
  EXPECT_EQ(experts_[0].excluded, Exclusion::kNone);
  EXPECT_EQ(experts_[1].excluded, Exclusion::kLargestAnswer);
  limits_.min_quality = 0.65;  // nor does a promise of quality bring others back
  Select();
  EXPECT_EQ(Chosen(), 0u);
}

// A promise that nobody can keep is no way round what budgets cover.
TEST_F(LargestAnswerSelection, NorDoesAPromiseThatAPoolGivesUp) {
  limits_.degrade = true;
  limits_.min_quality = 0.99;
  Select();
  EXPECT_EQ(Chosen(), 2u);
  EXPECT_EQ(result_.degraded, Degraded::kQuality);
  limits_.largest_j = 299;
  Select();
  EXPECT_EQ(Chosen(), 1u);
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
  limits_.largest_j = SelectionLimits::kNone;
  limits_.headroom_j = 5;
  Select();
  EXPECT_EQ(Chosen(), 1u);
  limits_.headroom_j = 0;
  Select();
  EXPECT_EQ(Chosen(), 0u);
  limits_.energy_cap_j = 0.5;  // the request's own: nobody keeps to it
  Select();
  EXPECT_EQ(Chosen(), 0u);
  EXPECT_EQ(result_.verdict, SelectionVerdict::kDegraded);
}

TEST_F(LargestAnswerSelection, WhoseLargestIsNotKnownIsNotBound) {
  largest_ = {0, 20, 0};
  limits_.largest_of = largest_;
  limits_.largest_j = 0;
  Select();
  EXPECT_EQ(Chosen(), 2u);
  EXPECT_EQ(experts_[1].excluded, Exclusion::kLargestAnswer);
}

TEST_F(LargestAnswerSelection, BindsTogetherWithTheHeadroom) {
  limits_.largest_j = 299;
  limits_.headroom_j = 3;
  Select();
  EXPECT_EQ(Chosen(), 0u);
  EXPECT_EQ(experts_[1].excluded, Exclusion::kBudget);
  limits_.headroom_j = 5;
  Select();
  EXPECT_EQ(Chosen(), 1u);
}

TEST_F(LargestAnswerSelection, MandatoryExpertsAreBeyondIt) {
  const std::vector<uint8_t> mandatory = {0, 0, 1};
  limits_.beyond_headroom = mandatory;
  limits_.largest_j = 19;
  Select();
  EXPECT_EQ(Chosen(), 2u);
  EXPECT_EQ(result_.degraded, Degraded::kNone);
  EXPECT_EQ(experts_[2].excluded, Exclusion::kNone);
  EXPECT_EQ(experts_[1].excluded, Exclusion::kLargestAnswer);
  // Where others were the better set, it is offered beside what is left of them.
  limits_.max_experts = 2;
  Select();
  EXPECT_EQ(Chosen(), 2u);
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
}

TEST_F(LargestAnswerSelection, WhoTheCallerNamesRuns) {
  const std::vector<uint32_t> named = {2};
  limits_.forced = named;
  limits_.largest_j = 0;
  Select();
  EXPECT_EQ(Chosen(), 2u);
}

TEST_F(LargestAnswerSelection, SeveralAnswersAreBoundTogether) {
  limits_.max_experts = 2;
  limits_.largest_j = 305;
  Select();  // middle and large are the best two; 320 at most
  EXPECT_EQ(Chosen(), 2u);
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
  limits_.largest_j = 320;
  Select();
  ASSERT_EQ(result_.chosen.size(), 2u);
  EXPECT_THAT((std::vector<size_t>{result_.chosen[0].expert, result_.chosen[1].expert}),
              UnorderedElementsAre(1, 2));
  limits_.largest_j = 25;  // of small and middle together
  Select();
  ASSERT_EQ(result_.chosen.size(), 2u);
  EXPECT_THAT((std::vector<size_t>{result_.chosen[0].expert, result_.chosen[1].expert}),
              UnorderedElementsAre(0, 1));
}

TEST_F(LargestAnswerSelection, TheObjectivesOfJoulesAndLatencyKeepToItToo) {
  experts_[1].latency_s = 0.005;
  experts_[2].latency_s = 0.001;
  limits_.objective = Objective::kLatency;
  limits_.largest_j = 299;
  Select();
  EXPECT_EQ(Chosen(), 1u);
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
}

// One expert, any limits: the best of those that fit, and the cheapest where nobody does.
TEST(LargestAnswerSelectionTest, EqualsTheBestOfAllThatFit) {
  CounterRandom random(21, 4);
  size_t bound = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<SelectionCandidate> experts;
    std::vector<double> largest;
    for (int i = 0; i < 6; ++i) {
      experts.push_back(Expert(random.Uniform(), 10 * random.Uniform()));
      largest.push_back(random.Below(5) == 0 ? 0 : 100 * random.Uniform());
    }
    SelectionLimits limits;
    limits.price_per_joule = 0.05 * random.Uniform();
    limits.largest_j = 100 * random.Uniform();
    limits.largest_of = largest;
    if (random.Below(2) == 0) limits.headroom_j = 10 * random.Uniform();
    const auto net = [&](size_t i) {
      return experts[i].score - limits.price_per_joule * experts[i].energy_j;
    };
    size_t cheapest = 0;
    for (size_t i = 1; i < 6; ++i) {
      if (experts[i].energy_j < experts[cheapest].energy_j) cheapest = i;
    }
    const auto fits = [&](size_t i) {
      return experts[i].energy_j <= limits.headroom_j && largest[i] <= limits.largest_j;
    };
    // The cheapest is among them unless its own joules are not covered: then only for want of any.
    size_t best = 6, free = 0;
    for (size_t i = 0; i < 6; ++i) {
      if (net(i) > net(free)) free = i;
      const bool may = fits(i) || (i == cheapest && experts[i].energy_j <= limits.headroom_j);
      if (may && (best == 6 || net(i) > net(best))) best = i;
    }
    if (best == 6 || free == cheapest) best = cheapest;
    SelectionResult result;
    Selector().Select(absl::MakeSpan(experts), limits, result);
    ASSERT_EQ(result.chosen.size(), 1u);
    EXPECT_EQ(result.chosen[0].expert, best) << "round " << round;
    bound += best != free ? 1 : 0;
  }
  EXPECT_GT(bound, 500u);
}

}  // namespace
}  // namespace penstock::router
