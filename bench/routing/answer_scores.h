#pragma once

#include <vector>

#include "router_service/features/sparse_rows.h"
#include "routing_set.h"

namespace penstock::router {

// P(right) of every recorded answer as a scorer sees it that was fitted on the training requests:
// from the quality its prompt lets expect, its length, whether it holds a final answer at all, and
// the length of the prompt. Recordings keep no text of answers, which published scorers read.
struct AnswerScores {
  std::vector<float> train;  // [models, training rows], the prompt's part out of fold
  std::vector<float> test;   // [models, test rows]
};
AnswerScores ScoreAnswers(const RoutingSet& train, const SparseRows& train_x,
                          const RoutingSet& test, const SparseRows& test_x);

}  // namespace penstock::router
