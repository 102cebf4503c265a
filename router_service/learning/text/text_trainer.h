#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/learning/text/quality_trainer.h"
#include "router_service/learning/text/text_report.h"

namespace penstock::router {

struct TextTrainOptions {
  TextOutcomesSource outcomes;
  // quality.safetensors goes there. Empty: nothing is written.
  std::string output_folder;
  // A trainer's name, or "auto": all of them, and of those within one standard error of the best
  // average quality over cost (Brier score where no cost is told) the simplest.
  std::string model = "hashed_linear";
  int folds = 5;  // by group
  // Written into the file's metadata as it is.
  std::string date;
};

// Those that need nothing but outcomes: mean, hashed_linear, knn, mlp, mf.
std::vector<std::unique_ptr<QualityTrainer>> MakeQualityTrainers();

// Fits the quality model of a pool that routes text, and measures it. The same options and bytes
// give the same file. `seconds` tells the time for the report. Not for the request path.
absl::StatusOr<TextTrainReport> TrainText(
    const TextTrainOptions& options,
    const std::vector<std::unique_ptr<QualityTrainer>>& trainers,
    const std::function<double()>& seconds);
// The same from outcomes at hand, of which messages speak as options.outcomes.file.
absl::StatusOr<TextTrainReport> TrainTextOn(
    const TextTrainOptions& options, const TextOutcomes& outcomes,
    const std::vector<std::unique_ptr<QualityTrainer>>& trainers,
    const std::function<double()>& seconds);

}  // namespace penstock::router
