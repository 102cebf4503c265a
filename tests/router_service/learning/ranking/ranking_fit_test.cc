#include "router_service/learning/ranking/ranking_fit.h"

#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/combining/ranked_answers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

RankingFeatures Features() { return *RankingFeatures::Create(8, 8); }

// An answer is right ("therefore"), kind ("dear friend"), both or neither, and so many words long;
// right ones are long more often.
struct Draft {
  bool right, kind;
  uint64_t words;
  std::string text;
};
Draft MakeDraft(CounterRandom& random) {
  Draft draft;
  draft.right = random.Below(2) == 0;
  draft.kind = random.Below(2) == 0;
  draft.words = 1 + random.Below(6) + (random.Uniform() < (draft.right ? 0.9 : 0.2) ? 8 : 0);
  if (draft.kind) draft.text = "dear friend ";
  if (draft.right) absl::StrAppend(&draft.text, "therefore it follows ");
  for (uint64_t i = 0; i < draft.words; ++i) {
    absl::StrAppend(&draft.text, std::string(1 + random.Below(6), 'n'), "o ");
  }
  return draft;
}

constexpr char kProof[] = "prove the theorem";
constexpr char kComfort[] = "comfort my neighbour";

MarkedAnswers Marked(size_t rows) {
  CounterRandom random(1, 1);
  MarkedAnswers marked;
  marked.objectives = {"right", "kind"};
  for (size_t i = 0; i < rows; ++i) {
    const Draft draft = MakeDraft(random);
    marked.prompts.emplace_back(i % 2 == 0 ? kProof : kComfort);
    marked.answers.push_back(draft.text);
    marked.marks.push_back(draft.right ? 1.0f : 0.0f);
    marked.marks.push_back(draft.kind ? 1.0f : 0.0f);
    marked.lengths.push_back(static_cast<float>(draft.words));
  }
  return marked;
}

// Proofs are preferred for being right, comfort for being kind.
std::vector<PreferredPair> Pairs(size_t count) {
  CounterRandom random(2, 1);
  std::vector<PreferredPair> pairs;
  while (pairs.size() < count) {
    const Draft a = MakeDraft(random), b = MakeDraft(random);
    const bool proof = random.Below(2) == 0;
    const bool better = proof ? a.right && !b.right : a.kind && !b.kind;
    if (better) pairs.push_back({proof ? kProof : kComfort, a.text, b.text});
  }
  return pairs;
}

class RankingFitTest : public ::testing::Test {
 protected:
  static const RankingFit& Fit() {
    static const RankingFit fit = *FitRanking(Marked(120), Pairs(200), Features(), {});
    return fit;
  }
};

TEST_F(RankingFitTest, WhatGoesWithLengthIsTakenOut) {
  EXPECT_GT(std::abs(Fit().correlation_before[0]), 0.2);
  for (const double correlation : Fit().correlation_after) {
    EXPECT_LE(std::abs(correlation), 0.03);
  }
  EXPECT_GT(Fit().model.penalty[0], 0);
}

TEST_F(RankingFitTest, TheGateLearnsWhatAPromptIsAfter) {
  EXPECT_LT(Fit().loss_after, 0.5 * Fit().loss_before);
  EXPECT_GT(Fit().heldout_right, 0.9);
  EXPECT_GT(Fit().heldout_right, Fit().heldout_right_equal);
  EXPECT_EQ(Fit().fitted_pairs + Fit().heldout_pairs, 200u);
  const std::vector<double> proof = Fit().model.Weights(Features().Prompt(kProof));
  const std::vector<double> comfort = Fit().model.Weights(Features().Prompt(kComfort));
  EXPECT_GT(proof[0], comfort[0]);
  EXPECT_NEAR(proof[0] + proof[1], 1, 1e-12);
}

TEST_F(RankingFitTest, TheScoreIsLinearInTheRewards) {
  const RankingModel& model = Fit().model;
  const std::vector<double> weights = model.Weights(Features().Prompt(kProof));
  const std::vector<double> a = {0.3, -1}, b = {2, 0.5}, sum = {2.3, -0.5};
  const auto score = [&](const std::vector<double>& rewards) {
    const std::vector<double> parts = model.Contributions(weights, rewards);
    return std::accumulate(parts.begin(), parts.end(), 0.0);
  };
  EXPECT_NEAR(score(a) + score(b), score(sum), 1e-9);
}

TEST_F(RankingFitTest, AHigherTemperatureMakesTheWeightsEqual) {
  RankingModel model = Fit().model;
  model.temperature = 1e9;
  for (const double weight : model.Weights(Features().Prompt(kProof))) {
    EXPECT_NEAR(weight, 0.5, 1e-3);
  }
}

TEST_F(RankingFitTest, AFileHoldsTheModelAndRanksAnswers) {
  TempDir dir;
  const std::string path = dir.File("ranking.safetensors");
  ASSERT_THAT(WriteRankingModel(path, Fit().model, Features()), IsOk());
  config::v1::Pool pool;
  pool.set_combiner(config::v1::RANKED);
  pool.mutable_ranking()->set_file(path);
  const auto combiner = MakeCombiner(pool);
  ASSERT_THAT(combiner.status(), IsOk());
  const std::vector<Tensor> right = {StringTensor("text", {1}, {"therefore it follows word word"})};
  const std::vector<Tensor> kind = {StringTensor("text", {1}, {"dear friend word word"})};
  // The weights of the selection do not count.
  const std::vector<ExpertAnswer> answers = {{0, "a", 0.1f, &right}, {1, "b", 0.9f, &kind}};
  for (const bool proof : {true, false}) {
    std::vector<AnswerParts> parts;
    const auto best = (*combiner)->CombineFor(proof ? kProof : kComfort, answers, parts);
    ASSERT_THAT(best.status(), IsOk());
    EXPECT_EQ(*ToStrings((*best)[0]), *ToStrings(proof ? right[0] : kind[0]));
    ASSERT_EQ(parts.size(), 2u);
    EXPECT_EQ(parts[0].parts[0].first, "right");
    // An answer's parts: it is right, or kind.
    EXPECT_GT(parts[0].parts[0].second, parts[1].parts[0].second);
    EXPECT_LT(parts[0].parts[1].second, parts[1].parts[1].second);
  }
}

TEST(RankingFit, SaysWhatDoesNotFit) {
  MarkedAnswers marked = Marked(20);
  marked.lengths.pop_back();
  EXPECT_THAT(std::string(FitRanking(marked, Pairs(20), Features(), {}).status().message()),
              HasSubstr("wanted 20 answers, lengths and rows of 2 marks"));
  EXPECT_THAT(std::string(FitRanking(Marked(20), Pairs(3), Features(), {}).status().message()),
              HasSubstr("wanted at least 10 marked answers and pairs, got 20 and 3"));
}

TEST(RankingFit, SpearmanIsOfRanks) {
  EXPECT_DOUBLE_EQ(SpearmanCorrelation({1, 2, 3}, {10, 100, 1000}), 1);
  EXPECT_DOUBLE_EQ(SpearmanCorrelation({1, 2, 3}, {3, 2, 1}), -1);
  EXPECT_DOUBLE_EQ(SpearmanCorrelation({1, 1, 1}, {3, 2, 1}), 0);
  // Ranks (0, 1.5, 1.5, 3) and (0, 1, 2, 3): 4.5 / sqrt(4.5 * 5).
  EXPECT_NEAR(SpearmanCorrelation({1, 2, 2, 3}, {1, 2, 3, 4}), 4.5 / std::sqrt(22.5), 1e-12);
}

}  // namespace
}  // namespace penstock::router
