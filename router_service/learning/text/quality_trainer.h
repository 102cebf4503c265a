#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "router_service/learning/text/text_outcomes.h"
#include "router_service/quality/quality_model.h"

namespace penstock::router {

// What was fitted: the model itself, and the file that MakeQualityModel opens as it. Without
// tensors it only serves to compare.
struct FittedQuality {
  std::shared_ptr<const QualityModel> model;
  std::vector<SafetensorsTensor> tensors;
  std::map<std::string, std::string> metadata;
};

// Predictions for rows that the model was not fitted on, [experts, rows].
struct OutOfFold {
  std::vector<float> quality, work;
  std::vector<std::pair<std::string, std::string>> notes;  // what was chosen on the way
};

// A way to fit a quality model to a table of outcomes. Deterministic.
class QualityTrainer {
 public:
  virtual ~QualityTrainer() = default;

  virtual std::string name() const = 0;
  // Parameters that the model would have, roughly: of two as good the smaller is taken.
  virtual double complexity(const TextOutcomes& outcomes) const = 0;
  virtual absl::StatusOr<FittedQuality> Fit(const TextOutcomes& outcomes,
                                            absl::Span<const size_t> rows) const = 0;
  // By fitting to all folds but one, and predicting that. `fold` [rows] in [0, folds).
  virtual absl::StatusOr<OutOfFold> CrossValidate(const TextOutcomes& outcomes,
                                                  absl::Span<const int> fold, int folds) const;
};

// Each expert's own mean, whatever the prompt: what every other model must beat.
std::unique_ptr<QualityTrainer> MakeMeanTrainer();

}  // namespace penstock::router
