#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "router_service/combining/ranking_model.h"

namespace penstock::router {

// Answers with their marks: one per objective, and how long they are.
struct MarkedAnswers {
  std::vector<std::string> objectives;  // [K]
  std::vector<std::string> prompts, answers;
  std::vector<float> marks;    // [rows, K]
  std::vector<float> lengths;  // [rows]

  size_t rows() const { return prompts.size(); }
};

// Of two answers to a prompt the first is preferred.
struct PreferredPair {
  std::string prompt, chosen, rejected;
};

struct RankingOptions {
  uint32_t prompt_bits = 8, answer_bits = 8;
  double most_correlation = 0.03;  // with length, of an objective's reward
  double temperature = 10;
  double l2 = 1e-4;  // of the gate
};

struct RankingFit {
  RankingModel model;
  std::vector<double> ridge;  // [K + 1], the last of the length head
  std::vector<double> correlation_before, correlation_after;  // [K], Spearman's, with length
  double loss_before = 0, loss_after = 0;  // mean preference loss, of equal weights and of the gate
  size_t fitted_pairs = 0, heldout_pairs = 0;
  double heldout_right = 0;        // share of the held-out pairs whose chosen answer scores higher
  double heldout_right_equal = 0;  // the same with equal weights
};

// Stage 1: a ridge head per objective and one of the length, ridge out of 1e-4 ... 1e4 by squared
// error on every fifth row. Stage 2: p_k, the least of 0, +-.05 ... +-.95 (in units of both
// rewards' spread) with |Spearman correlation of R'_k and R_length| within the limit; of none the
// one with the least. Stage 3: the gate by the Bradley-Terry loss log(1 + exp(-(s_chosen -
// s_rejected))) on four of five pairs, R' being what it scores with. Wang et al. 2024,
// arXiv:2406.12845. INVALID_ARGUMENT: lists that do not fit together, a mark that is not finite,
// fewer than 10 rows or pairs.
absl::StatusOr<RankingFit> FitRanking(const MarkedAnswers& answers,
                                      absl::Span<const PreferredPair> pairs,
                                      const RankingFeatures& features,
                                      const RankingOptions& options);

// Of ranks, ties at their mean rank; 0 where either does not vary.
double SpearmanCorrelation(absl::Span<const double> a, absl::Span<const double> b);

}  // namespace penstock::router
