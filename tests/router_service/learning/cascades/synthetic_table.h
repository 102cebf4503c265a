#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "common/random.h"
#include "router_service/learning/outcome_table.h"

namespace penstock::router {

// One expert's outcome.
struct Outcome {
  float quality = 0;
  AnswerConfidence confidence{-1, 0};
  float cost = 1;
  size_t answer = 0;
};

// Experts named small, middle, large, as many as `row` tells; features [rows, 1] as it tells.
inline OutcomeTable SyntheticTable(
    size_t rows, uint64_t seed,
    const std::function<std::vector<Outcome>(CounterRandom& random, float& z)>& row) {
  OutcomeTable table;
  std::vector<std::vector<Outcome>> outcomes;
  table.dimension = 1;
  table.cost_unit = "joules";
  for (size_t i = 0; i < rows; ++i) {
    CounterRandom random(seed, i);
    float z = 0;
    outcomes.push_back(row(random, z));
    table.ids.push_back(std::to_string(i));
    table.features.push_back(z);
  }
  const std::vector<std::string> names = {"small", "middle", "large"};
  table.experts.assign(names.begin(),
                       names.begin() + static_cast<std::ptrdiff_t>(outcomes.front().size()));
  if (table.experts.size() == 2) table.experts[1] = "large";
  for (size_t expert = 0; expert < table.experts.size(); ++expert) {
    for (const std::vector<Outcome>& of_row : outcomes) {
      const Outcome& outcome = of_row[expert];
      table.quality.push_back(outcome.quality);
      table.cost.push_back(outcome.cost);
      table.confidence.push_back(outcome.confidence);
      table.answers.push_back(outcome.answer);
    }
  }
  return table;
}

inline std::vector<int> FoldsOf(const OutcomeTable& table, int folds = 5) {
  std::vector<int> fold;
  for (size_t row = 0; row < table.rows(); ++row) fold.push_back(static_cast<int>(row) % folds);
  return fold;
}

}  // namespace penstock::router
