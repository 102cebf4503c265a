#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "router_service/learning/text/quality_trainer.h"
#include "router_service/learning/text/strength_blend.h"
#include "router_service/quality/hashed_linear_quality.h"

namespace penstock::router {

// Fits HashedLinearQuality: ridge regressions of quality and of ln(output tokens + 8) on TF-IDF. Of
// quality one for each strength of `grid`, which StrengthBlend puts together; lengths tell more of
// their own and have one strength, calibrated likewise. Calibrated on out-of-fold predictions.
class HashedLinearTrainer final : public QualityTrainer {
 public:
  struct Options {
    std::vector<double> grid = {3, 10, 30, 100};  // rising
    double length_lambda = 3;
    // Weight of the dense features beside a text of length 1.
    double dense_share = 0.3;
    int folds = 5;
  };
  HashedLinearTrainer() = default;
  explicit HashedLinearTrainer(Options options) : options_(std::move(options)) {}

  std::string name() const override { return "hashed_linear"; }
  double complexity(const TextOutcomes& outcomes) const override;
  // Folds by group within `rows`.
  absl::StatusOr<FittedQuality> Fit(const TextOutcomes& outcomes,
                                    absl::Span<const size_t> rows) const override;
  absl::StatusOr<OutOfFold> CrossValidate(const TextOutcomes& outcomes, absl::Span<const int> fold,
                                          int folds) const override;

 private:
  struct Raw;  // out-of-fold ridge scores
  struct Calibrated;
  Raw Scores(const TextOutcomes& outcomes, absl::Span<const size_t> rows,
             absl::Span<const int> fold, int folds) const;
  static Calibrated Calibrate(const TextOutcomes& outcomes, absl::Span<const size_t> rows,
                              const Raw& raw);

  // The factors of the blends, as report and file have them.
  std::vector<std::pair<std::string, std::string>> Notes(const StrengthBlend& quality,
                                                         const StrengthBlend& length) const;

  Options options_;
};

// Adds 8 so that short answers do not stand out: ln(8) is what an empty one gets.
constexpr double kLengthOffset = 8;
// Output tokens of an expert's answers; where the table tells none, the cost in units of 1/256 of
// its mean. NaN = unknown. [experts, rows].
std::vector<float> AnswerLengths(const TextOutcomes& outcomes);

}  // namespace penstock::router
