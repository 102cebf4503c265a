#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::router {

// Recorded outcomes of every model of a pool on every request, as prepare_sets.py writes them.
struct RoutingSet {
  std::string name;
  std::vector<std::string> models;
  std::string unit;         // of cost: joules, usd, or calls of the second model
  double score_scale = 1;   // what a score of 1 was before
  size_t rows = 0;
  std::vector<std::string> prompts;
  std::vector<float> in_tokens;
  std::vector<std::string> question;  // key of the question that variants of it share
  std::vector<uint32_t> group;        // the same, numbered
  std::vector<int> fold;
  std::vector<uint8_t> test;
  std::vector<float> quality;          // [models, rows]
  std::vector<float> cost;             // [models, rows]
  std::vector<float> tokens;           // [models, rows] or empty
  std::vector<float> token_price;      // [models] or empty: cost = tokens * price
  std::vector<std::string> answers;    // [models, rows] or empty; "" = none found

  size_t At(size_t model, size_t row) const { return model * rows + row; }
  // Whether something of an answer is recorded that a scorer could look at.
  bool AnswersAreKnown() const { return !tokens.empty() || !answers.empty(); }
  RoutingSet Subset(const std::vector<size_t>& taken) const;
  // Every answer cut after `tokens_at_most`: what ran longer costs no more than that, and is wrong.
  void LimitOutput(float tokens_at_most);
  std::vector<double> MeanCosts() const;
  std::vector<double> MeanQualities() const;
};

absl::StatusOr<RoutingSet> ReadRoutingSet(const std::string& path);

}  // namespace penstock::router
