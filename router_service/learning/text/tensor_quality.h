#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/text/text_outcomes.h"
#include "router_service/learning/text/text_report.h"
#include "router_service/learning/trainer.h"

namespace penstock::router {

// A table of numeric inputs as the quality trainers read it: dense features and no words, each
// request a question of its own.
TextOutcomes DenseOutcomes(const OutcomeTable& table);

// Compares quality models of numeric inputs over folds: logistic (what Train writes), knn, mlp, mf.
// `model` is one of their names or "auto". Where the chosen one is not logistic, its file replaces
// the quality.safetensors of options.output_folder.
absl::StatusOr<TextTrainReport> TrainTensorQuality(const TrainOptions& options,
                                                   const OutcomeTable& table,
                                                   const std::string& model, int folds,
                                                   const std::function<double()>& seconds);

}  // namespace penstock::router
