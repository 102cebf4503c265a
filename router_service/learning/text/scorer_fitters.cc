// What the scorers of `penstock train` are fitted by.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/learning/sparse/hidden_layer_model.h"
#include "router_service/learning/sparse/matrix_factorisation.h"
#include "router_service/learning/text/hashed_linear_trainer.h"
#include "router_service/learning/text/scorer_trainer.h"
#include "router_service/learning/text/sparse_ridge.h"
#include "router_service/learning/text/weighted_design.h"
#include "router_service/quality/learned/neighbour_scorer.h"
#include "router_service/quality/learned/prototype_scorer.h"
#include "router_service/quality/learned/two_layer_scorer.h"

namespace penstock::router {
namespace {

using Kind = CalibratedQuality::Kind;

// Rows that are kept as neighbours or learned from; of more, evenly spaced ones.
constexpr size_t kMostNeighbours = 32768, kMostLearned = 65536;
// Layers have a weight per column and unit: fewer columns than words lose little, and pay for much.
constexpr size_t kLayerColumns = 16384;
constexpr size_t kHidden = 100, kWidth = 128;
constexpr int kMostEpochs = 30;
// Weight of the dense features beside a text of length 1; alone they need not be held back.
constexpr double kDenseShare = 0.3;
// Labels behind an expert's prior that still make it surer.
constexpr double kMostObserved = 100;

double ShareOf(const TextOutcomes& outcomes) {
  return outcomes.counts.columns == 0 ? 1 : kDenseShare;
}

std::vector<size_t> EvenlySpaced(absl::Span<const size_t> rows, size_t most) {
  std::vector<size_t> taken;
  const size_t count = std::min(rows.size(), most);
  for (size_t i = 0; i < count; ++i) taken.push_back(rows[i * rows.size() / count]);
  return taken;
}

// [experts, taken] of a figure of the table.
std::vector<float> Taken(const TextOutcomes& outcomes, const std::vector<float>& figure,
                         absl::Span<const size_t> taken) {
  std::vector<float> result;
  result.reserve(outcomes.experts.size() * taken.size());
  for (size_t e = 0; e < outcomes.experts.size(); ++e) {
    for (const size_t row : taken) result.push_back(figure[outcomes.At(e, row)]);
  }
  return result;
}

std::vector<uint32_t> GroupNumbers(const TextOutcomes& outcomes, absl::Span<const size_t> taken) {
  std::map<absl::string_view, uint32_t> numbers;
  std::vector<uint32_t> result;
  for (const size_t row : taken) {
    const uint32_t next = static_cast<uint32_t>(numbers.size());
    result.push_back(numbers.emplace(outcomes.groups[row], next).first->second);
  }
  return result;
}

struct Mean {
  double value = 0.5, known = 0;
};
// Of what is known of [count] figures.
Mean MeanOf(absl::Span<const float> figures) {
  double sum = 0, known = 0;
  for (const float figure : figures) {
    if (std::isnan(figure)) continue;
    sum += figure;
    known += 1;
  }
  return known > 0 ? Mean{sum / known, known} : Mean{};
}

// Of the smallest sphere about the origin that holds the rows.
float Radius(const TextOutcomes& outcomes, const FeatureWeighting& weighting,
             absl::Span<const size_t> taken) {
  std::vector<uint32_t> columns;
  std::vector<float> values;
  double most = 1e-6;
  for (const size_t row : taken) {
    weighting.Apply(outcomes.Features(row), columns, values);
    double square = 0;
    for (const float value : values) square += double{value} * value;
    most = std::max(most, square);
  }
  return static_cast<float>(std::sqrt(most));
}

absl::StatusOr<FittedScorer> FitNeighbours(const TextOutcomes& outcomes,
                                           absl::Span<const size_t> rows) {
  const std::vector<size_t> taken = EvenlySpaced(rows, kMostNeighbours);
  FittedScorer fitted;
  fitted.weighting = FitWeighting(outcomes, taken, ShareOf(outcomes), outcomes.counts.columns);
  // Numbers alone are near by distance: by direction, small ones would be near to large ones.
  if (outcomes.counts.columns == 0)
    fitted.weighting.sphere = Radius(outcomes, fitted.weighting, taken);
  NeighbourScorer::Labels labels;
  labels.quality = Taken(outcomes, outcomes.quality, taken);
  labels.work = Taken(outcomes, AnswerLengths(outcomes), taken);
  for (size_t e = 0; e < outcomes.experts.size(); ++e) {
    const size_t first = e * taken.size();
    labels.prior.push_back(static_cast<float>(
        MeanOf(absl::MakeConstSpan(labels.quality).subspan(first, taken.size())).value));
    const auto of_expert = absl::MakeSpan(labels.work).subspan(first, taken.size());
    const Mean length = MeanOf(of_expert);
    for (float& work : of_expert) {
      work = length.known > 0 && length.value > 0 ? static_cast<float>(work / length.value)
                                                  : std::numeric_limits<float>::quiet_NaN();
    }
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      fitted.scorer,
      NeighbourScorer::Create(WeightedRows(outcomes, fitted.weighting, taken), std::move(labels)));
  return fitted;
}

// The inverse of a symmetric positive definite matrix, by Gauss and Jordan.
std::vector<float> Inverse(std::vector<double> a, size_t n) {
  std::vector<double> inverse(n * n, 0.0);
  for (size_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
  for (size_t pivot = 0; pivot < n; ++pivot) {
    const double scale = 1 / a[pivot * n + pivot];
    for (size_t k = 0; k < n; ++k) {
      a[pivot * n + k] *= scale;
      inverse[pivot * n + k] *= scale;
    }
    for (size_t i = 0; i < n; ++i) {
      const double factor = a[i * n + pivot];
      if (i == pivot || factor == 0) continue;
      for (size_t k = 0; k < n; ++k) {
        a[i * n + k] -= factor * a[pivot * n + k];
        inverse[i * n + k] -= factor * inverse[pivot * n + k];
      }
    }
  }
  return {inverse.begin(), inverse.end()};
}

// Ridge regression of ln(length + 8), as the default's; nothing where no length is told.
void FitLengths(const TextOutcomes& outcomes, absl::Span<const size_t> taken, SparseRows x,
                TwoLayerScorer::Parameters& parameters) {
  constexpr double kLambda = 3;
  const size_t experts = outcomes.experts.size(), columns = x.columns;
  const std::vector<float> lengths = AnswerLengths(outcomes);
  std::vector<float> y(taken.size() * experts);
  bool any = false;
  for (size_t i = 0; i < taken.size(); ++i) {
    for (size_t e = 0; e < experts; ++e) {
      const float length = lengths[outcomes.At(e, taken[i])];
      y[i * experts + e] = static_cast<float>(std::log(length + kLengthOffset));
      any = any || !std::isnan(length);
    }
  }
  if (!any) return;
  const SparseRidge::Weights fitted =
      SparseRidge(std::move(x)).Solve(y, std::vector<double>(experts, kLambda));
  parameters.length.assign(columns * experts, 0.0f);
  for (size_t place = 0; place < fitted.columns.size(); ++place) {
    std::copy_n(fitted.weight.begin() + static_cast<std::ptrdiff_t>(place * experts), experts,
                parameters.length.begin() +
                    static_cast<std::ptrdiff_t>(size_t{fitted.columns[place]} * experts));
  }
  parameters.length_mean.assign(fitted.mean.begin(), fitted.mean.end());
}

// The scorer's parameters of fitted weights, with the last layer's uncertainty over the rows that
// were learned. `centred`: an expert's logits get the mean that its labels have, not what the
// weights say.
TwoLayerScorer::Parameters TwoLayer(TwoLayerWeights weights, const SparseRows& x,
                                    absl::Span<const float> quality, bool centred) {
  const size_t width = weights.hidden + 1, experts = quality.size() / x.rows();
  std::vector<double> gram(width * width, 0.0), mean(experts, 0.0);
  for (size_t k = 0; k < width; ++k) gram[k * width + k] = 1;
  std::vector<float> hidden;
  for (size_t row = 0; row < x.rows(); ++row) {
    TwoLayerScorer::Hidden(weights, x.Columns(row), x.Values(row), hidden);
    for (size_t k = 0; k < width; ++k) {
      if (hidden[k] == 0) continue;
      for (size_t m = 0; m < width; ++m) gram[k * width + m] += double{hidden[k]} * hidden[m];
    }
    for (size_t e = 0; e < experts; ++e) {
      double sum = 0;
      for (size_t k = 0; k < width; ++k) sum += double{weights.output[e * width + k]} * hidden[k];
      mean[e] += sum / static_cast<double>(x.rows());
    }
  }
  TwoLayerScorer::Parameters parameters;
  parameters.covariance = Inverse(std::move(gram), width);
  for (size_t e = 0; e < experts; ++e) {
    const Mean label = MeanOf(quality.subspan(e * x.rows(), x.rows()));
    const double q = std::clamp(label.value, 0.01, 0.99);
    const double share = std::max(label.known, 1.0) / static_cast<double>(x.rows());
    parameters.curvature.push_back(static_cast<float>(q * (1 - q) * share));
    if (centred) {
      weights.output[e * width + width - 1] += static_cast<float>(std::log(q / (1 - q)) - mean[e]);
    }
  }
  parameters.weights = std::move(weights);
  return parameters;
}

template <class FitWeights>
absl::StatusOr<FittedScorer> FitLayers(const TextOutcomes& outcomes, absl::Span<const size_t> rows,
                                       bool centred, FitWeights fit) {
  const std::vector<size_t> taken = EvenlySpaced(rows, kMostLearned);
  FittedScorer fitted;
  fitted.weighting = FitWeighting(outcomes, taken, ShareOf(outcomes), kLayerColumns);
  SparseRows x = WeightedRows(outcomes, fitted.weighting, taken);
  const std::vector<float> quality = Taken(outcomes, outcomes.quality, taken);
  TwoLayerScorer::Parameters parameters =
      TwoLayer(fit(x, quality, GroupNumbers(outcomes, taken)), x, quality, centred);
  FitLengths(outcomes, taken, std::move(x), parameters);
  fitted.scorer = std::make_shared<const TwoLayerScorer>(std::move(parameters));
  return fitted;
}

// Whether the row tells of an expert that did better than another one.
bool HasWinner(const TextOutcomes& outcomes, size_t row) {
  float least = std::numeric_limits<float>::infinity(), most = -least;
  for (size_t e = 0; e < outcomes.experts.size(); ++e) {
    const float quality = outcomes.quality[outcomes.At(e, row)];
    if (std::isnan(quality)) continue;
    least = std::min(least, quality);
    most = std::max(most, quality);
  }
  return most > least;
}

// A unit, or a length, per column.
double LayerSize(const TextOutcomes& outcomes, size_t hidden) {
  size_t columns = outcomes.counts.columns;
  while (columns > kLayerColumns) columns /= 2;
  return static_cast<double>((columns + outcomes.dense_dimension) *
                             (hidden + outcomes.experts.size()));
}

}  // namespace

std::unique_ptr<QualityTrainer> MakeNeighbourTrainer() {
  // Of a row: its columns and values, its code, and what came of it.
  const auto size = [](const TextOutcomes& outcomes) {
    const double rows = static_cast<double>(outcomes.rows());
    const double entries = static_cast<double>(outcomes.counts.value.size()) / rows +
                           static_cast<double>(outcomes.dense_dimension);
    const size_t code =
        std::min(outcomes.counts.columns + outcomes.dense_dimension, NeighbourIndex::kWidth);
    return std::min(rows, static_cast<double>(kMostNeighbours)) *
           (2 * entries + static_cast<double>(code + 2 * outcomes.experts.size()));
  };
  return std::make_unique<ScorerTrainer>("knn", Kind::kNeighbours, size, FitNeighbours);
}

std::unique_ptr<QualityTrainer> MakeHiddenLayerTrainer() {
  const auto fit = [](const TextOutcomes& outcomes, absl::Span<const size_t> rows) {
    return FitLayers(outcomes, rows, /*centred=*/false,
                     [&](const SparseRows& x, const std::vector<float>& quality,
                         const std::vector<uint32_t>& group) {
                       HiddenLayerOptions options;
                       options.hidden = kHidden;
                       options.most_epochs = kMostEpochs;
                       return HiddenLayerModel::Fit(x, quality, outcomes.experts.size(), group,
                                                    options)
                           .weights();
                     });
  };
  return std::make_unique<ScorerTrainer>(
      "mlp", Kind::kHiddenLayer,
      [](const TextOutcomes& outcomes) { return LayerSize(outcomes, kHidden); }, fit);
}

std::unique_ptr<QualityTrainer> MakeFactorisedTrainer() {
  const auto fit = [](const TextOutcomes& outcomes,
                      absl::Span<const size_t> rows) -> absl::StatusOr<FittedScorer> {
    if (std::none_of(rows.begin(), rows.end(),
                     [&](size_t row) { return HasWinner(outcomes, row); })) {
      return absl::FailedPreconditionError(absl::StrCat(
          "model mf learns from rows where one expert did better than another: none of ",
          rows.size(), " tells of two such"));
    }
    return FitLayers(outcomes, rows, /*centred=*/true,
                     [&](const SparseRows& x, const std::vector<float>& quality,
                         const std::vector<uint32_t>& group) {
                       MatrixFactorisationOptions options;
                       options.width = kWidth;
                       options.most_epochs = kMostEpochs;
                       return MatrixFactorisation::Fit(x, quality, outcomes.experts.size(), group,
                                                       options)
                           .weights();
                     });
  };
  return std::make_unique<ScorerTrainer>(
      "mf", Kind::kFactorised,
      [](const TextOutcomes& outcomes) { return LayerSize(outcomes, kWidth); }, fit);
}

std::unique_ptr<QualityTrainer> MakePrototypeTrainer(std::vector<ExpertCard> cards,
                                                     config::v1::TextFeatures features) {
  const auto fit = [cards, features](
                       const TextOutcomes& outcomes,
                       absl::Span<const size_t> rows) -> absl::StatusOr<FittedScorer> {
    FittedScorer fitted;
    fitted.weighting = FitWeighting(outcomes, rows, ShareOf(outcomes), outcomes.counts.columns);
    PrototypeScorer::Parameters parameters;
    PENSTOCK_ASSIGN_OR_RETURN(parameters.prototypes,
                              CardPrototypes(cards, outcomes.experts, features, fitted.weighting));
    for (size_t e = 0; e < outcomes.experts.size(); ++e) {
      std::vector<float> labels;
      for (const size_t row : rows) labels.push_back(outcomes.quality[outcomes.At(e, row)]);
      const Mean label = MeanOf(labels);
      parameters.prior.push_back(static_cast<float>(std::clamp(label.value, 0.01, 0.99)));
      parameters.observed.push_back(static_cast<float>(std::min(label.known, kMostObserved)));
    }
    fitted.scorer = std::make_shared<const PrototypeScorer>(std::move(parameters));
    return fitted;
  };
  const auto size = [cards](const TextOutcomes& outcomes) {
    double bytes = 0;
    for (const ExpertCard& card : cards) {
      for (const std::string& text : card.Texts()) bytes += static_cast<double>(text.size());
    }
    return static_cast<double>(outcomes.experts.size()) +
           bytes / 4;  // about a word and a pair in 8
  };
  return std::make_unique<ScorerTrainer>("prototypes", Kind::kPrototypes, size, fit);
}

}  // namespace penstock::router
