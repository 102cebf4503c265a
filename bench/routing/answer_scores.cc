#include "answer_scores.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "router_service/baselines/ridge.h"

namespace penstock::router {
namespace {

constexpr double kPromptPenalty = 10;
constexpr size_t kFeatures = 6;

// [models, rows], every fold by a fit on the others.
std::vector<float> OutOfFold(const RoutingSet& set, const SparseRows& x) {
  std::vector<float> quality(set.quality.size());
  const std::set<int> folds(set.fold.begin(), set.fold.end());
  for (const int fold : folds) {
    std::vector<size_t> learn, tried;
    for (size_t row = 0; row < set.rows; ++row) {
      (set.fold[row] == fold ? tried : learn).push_back(row);
    }
    const std::vector<float> part =
        Ridge::Fit(TakeRows(x, learn), set.Subset(learn).quality, set.models.size(), kPromptPenalty)
            .Predict(TakeRows(x, tried));
    for (size_t m = 0; m < set.models.size(); ++m) {
      for (size_t i = 0; i < tried.size(); ++i) {
        quality[set.At(m, tried[i])] = part[m * tried.size() + i];
      }
    }
  }
  return quality;
}

// Features of one model's answers, all of about the same scale.
SparseRows AnswerFeatures(const RoutingSet& set, size_t model, const std::vector<float>& prompt) {
  SparseRows x;
  x.columns = kFeatures;
  for (size_t row = 0; row < set.rows; ++row) {
    const size_t at = set.At(model, row);
    const float length = set.tokens.empty() ? 0 : std::log(set.tokens[at] + 8) / 5;
    const bool none = !set.answers.empty() && set.answers[at].empty();
    const float values[kFeatures] = {prompt[at], length, length * length, none ? 1.0f : 0.0f,
                                     std::log(set.in_tokens[row] + 8) / 5, prompt[at] * length};
    for (uint32_t column = 0; column < kFeatures; ++column) {
      x.column.push_back(column);
      x.value.push_back(values[column]);
    }
    x.begin.push_back(x.value.size());
  }
  return x;
}

}  // namespace

AnswerScores ScoreAnswers(const RoutingSet& train, const SparseRows& train_x,
                          const RoutingSet& test, const SparseRows& test_x) {
  const std::vector<float> train_prompt = OutOfFold(train, train_x);
  const std::vector<float> test_prompt =
      Ridge::Fit(train_x, train.quality, train.models.size(), kPromptPenalty).Predict(test_x);
  AnswerScores scores;
  for (size_t m = 0; m < train.models.size(); ++m) {
    const SparseRows x = AnswerFeatures(train, m, train_prompt);
    const absl::Span<const float> labels =
        absl::MakeConstSpan(train.quality).subspan(m * train.rows, train.rows);
    const Ridge scorer = Ridge::Fit(x, labels, 1, 1.0);
    for (const float score : scorer.Predict(x)) {
      scores.train.push_back(std::clamp(score, 0.0f, 1.0f));
    }
    for (const float score : scorer.Predict(AnswerFeatures(test, m, test_prompt))) {
      scores.test.push_back(std::clamp(score, 0.0f, 1.0f));
    }
  }
  return scores;
}

}  // namespace penstock::router
