#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "router_service/learning/text/quality_trainer.h"
#include "router_service/quality/learned/calibrated_quality.h"
#include "router_service/quality/learned/expert_cards.h"

namespace penstock::router {

// What reads a request's row, and how the row is made of its features.
struct FittedScorer {
  FeatureWeighting weighting;
  std::shared_ptr<const LogitScorer> scorer;
};

// Fits a CalibratedQuality: the scorer by `fit`, the calibration of each expert's logits
// (calibration.h) on predictions of rows that the scorer was not fitted on.
class ScorerTrainer final : public QualityTrainer {
 public:
  using Fitter = std::function<absl::StatusOr<FittedScorer>(const TextOutcomes& outcomes,
                                                            absl::Span<const size_t> rows)>;
  using Size = std::function<double(const TextOutcomes& outcomes)>;

  ScorerTrainer(std::string name, CalibratedQuality::Kind kind, Size size, Fitter fit,
                int folds = 5)
      : name_(std::move(name)),
        kind_(kind),
        size_(std::move(size)),
        fit_(std::move(fit)),
        folds_(folds) {}

  std::string name() const override { return name_; }
  double complexity(const TextOutcomes& outcomes) const override { return size_(outcomes); }
  absl::StatusOr<FittedQuality> Fit(const TextOutcomes& outcomes,
                                    absl::Span<const size_t> rows) const override;
  absl::StatusOr<OutOfFold> CrossValidate(const TextOutcomes& outcomes, absl::Span<const int> fold,
                                          int folds) const override;

 private:
  struct Scores;
  struct Calibrated;
  absl::StatusOr<Scores> OutOfFoldScores(const TextOutcomes& outcomes,
                                         absl::Span<const size_t> rows, absl::Span<const int> fold,
                                         int folds) const;
  static Calibrated Calibrate(const TextOutcomes& outcomes, absl::Span<const size_t> rows,
                              const Scores& scores);

  const std::string name_;
  const CalibratedQuality::Kind kind_;
  const Size size_;
  const Fitter fit_;
  const int folds_;
};

// knn: the labels of the most alike requests (neighbour_scorer.h).
std::unique_ptr<QualityTrainer> MakeNeighbourTrainer();
// mlp: one hidden layer (hidden_layer_model.h). mf: matrix factorisation (matrix_factorisation.h).
std::unique_ptr<QualityTrainer> MakeHiddenLayerTrainer();
std::unique_ptr<QualityTrainer> MakeFactorisedTrainer();
// prototypes: resemblance to the experts' cards (prototype_scorer.h), whose texts `features` reads.
std::unique_ptr<QualityTrainer> MakePrototypeTrainer(std::vector<ExpertCard> cards,
                                                     config::v1::TextFeatures features);

}  // namespace penstock::router
