#include "router_service/learning/text/tensor_quality.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/learning/linear/logistic_heads.h"
#include "router_service/learning/text/scorer_trainer.h"
#include "router_service/learning/text/text_trainer.h"
#include "router_service/quality/artifact_checksum.h"

namespace penstock::router {
namespace {

constexpr char kLogistic[] = "logistic";
constexpr int kFolds = 5;

// Calibrated logistic heads, to be compared with.
class HeadsQuality final : public QualityModel {
 public:
  explicit HeadsQuality(LogisticHeads heads) : heads_(std::move(heads)) {}

  size_t experts() const override { return heads_.bias.size(); }
  size_t dimension() const override { return heads_.dimension; }
  void Predict(const FeatureView& z, const QualityPrediction& prediction) const override {
    FillUnknown(prediction);
    for (size_t e = 0; e < experts(); ++e) {
      prediction.quality[e] =
          z.known ? heads_.Predict(e, z.dense) : static_cast<float>(heads_.mean[e]);
    }
  }

 private:
  const LogisticHeads heads_;
};

class LogisticTrainer final : public QualityTrainer {
 public:
  std::string name() const override { return kLogistic; }
  double complexity(const TextOutcomes& outcomes) const override {
    return static_cast<double>(outcomes.experts.size() * (outcomes.dense_dimension + 1));
  }
  absl::StatusOr<FittedQuality> Fit(const TextOutcomes& outcomes,
                                    absl::Span<const size_t> rows) const override {
    std::vector<float> x, labels;
    std::vector<int> fold;
    for (const size_t row : rows) {
      const absl::Span<const float> z = outcomes.Features(row).dense;
      x.insert(x.end(), z.begin(), z.end());
      fold.push_back(FoldOf(outcomes.groups[row], kFolds));
    }
    for (size_t e = 0; e < outcomes.experts.size(); ++e) {
      for (const size_t row : rows) labels.push_back(outcomes.quality[outcomes.At(e, row)]);
    }
    FittedQuality fitted;
    fitted.model = std::make_shared<const HeadsQuality>(
        FitCalibratedHeads(x, outcomes.dense_dimension, labels, outcomes.experts.size(), fold,
                           {LogisticPenalties(), kFolds}));
    return fitted;
  }
};

absl::Status Write(const TrainOptions& options, const TextOutcomes& outcomes,
                   const QualityTrainer& trainer, TextTrainReport& report) {
  std::vector<size_t> rows(outcomes.rows());
  std::iota(rows.begin(), rows.end(), size_t{0});
  PENSTOCK_ASSIGN_OR_RETURN(FittedQuality fitted, trainer.Fit(outcomes, rows));
  const config::v1::TensorPooling& pooling = options.features.tensor_pooling();
  fitted.metadata["features"] = "tensor_pooling";
  fitted.metadata["features_input"] = pooling.input();
  fitted.metadata["features_cells"] = absl::StrCat(pooling.cells());
  fitted.metadata["dimension"] = absl::StrCat(outcomes.dense_dimension);
  fitted.metadata["model"] = trainer.name();
  fitted.metadata["date"] = options.date;
  fitted.metadata["rows"] = absl::StrCat(outcomes.rows());
  fitted.metadata["out_of_fold_brier"] = absl::StrCat(report.chosen().brier);
  fitted.metadata["checksum"] = ArtifactChecksum(fitted.tensors);
  const std::string path =
      (std::filesystem::path(options.output_folder) / "quality.safetensors").string();
  PENSTOCK_RETURN_IF_ERROR(WriteSafetensors(path, fitted.tensors, fitted.metadata));
  report.files.push_back(path);
  return absl::OkStatus();
}

}  // namespace

TextOutcomes DenseOutcomes(const OutcomeTable& table) {
  TextOutcomes outcomes;
  outcomes.experts = table.experts;
  outcomes.groups = table.ids;
  outcomes.counts.begin.assign(table.rows() + 1, 0);
  outcomes.dense_dimension = table.dimension;
  outcomes.dense = table.features;
  outcomes.quality = table.quality;
  outcomes.cost = table.cost;
  outcomes.cost_unit = table.cost_unit;
  outcomes.partial = table.partial();
  outcomes.out_tokens.assign(table.quality.size(), std::numeric_limits<float>::quiet_NaN());
  return outcomes;
}

absl::StatusOr<TextTrainReport> TrainTensorQuality(const TrainOptions& options,
                                                   const OutcomeTable& table,
                                                   const std::string& model, int folds,
                                                   const std::function<double()>& seconds) {
  if (table.dimension == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.outcomes_file, " has no features: model ", model, " reads some"));
  }
  std::vector<std::unique_ptr<QualityTrainer>> trainers;
  trainers.push_back(std::make_unique<LogisticTrainer>());
  trainers.push_back(MakeNeighbourTrainer());
  trainers.push_back(MakeHiddenLayerTrainer());
  trainers.push_back(MakeFactorisedTrainer());
  TextTrainOptions compare;
  compare.outcomes.file = options.outcomes_file;
  compare.model = model;
  compare.folds = folds;
  const TextOutcomes outcomes = DenseOutcomes(table);
  PENSTOCK_ASSIGN_OR_RETURN(TextTrainReport report,
                            TrainTextOn(compare, outcomes, trainers, seconds));
  const auto chosen = std::find_if(trainers.begin(), trainers.end(), [&](const auto& trainer) {
    return trainer->name() == report.chosen().name;
  });
  if (options.output_folder.empty() || (*chosen)->name() == kLogistic) return report;
  PENSTOCK_RETURN_IF_ERROR(Write(options, outcomes, **chosen, report));
  return report;
}

}  // namespace penstock::router
