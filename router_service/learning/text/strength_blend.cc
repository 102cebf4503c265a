#include "router_service/learning/text/strength_blend.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

// Order is never turned around, and never lost.
constexpr double kLeastFactor = 0.05, kMostFactor = 20;
// Strengths above that of the least squared error. Between two experts there is one difference, and
// no largest one that erred most in its own favour.
size_t Stronger(size_t experts) { return std::min<size_t>(2, experts < 2 ? 0 : experts - 2); }
constexpr size_t kRowsAnExpert = 10;  // that a component of their labels is trusted from
constexpr int kMostTurns = 500;
constexpr double kSettled = 1e-12, kNothing = 1e-12;

double Dot(absl::Span<const double> a, absl::Span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

std::vector<double> EqualShares(size_t experts) {
  return std::vector<double>(experts, 1 / std::sqrt(static_cast<double>(experts)));
}

// What is known of each expert, and what was said of it there; of one that nothing is known of,
// what was said anywhere.
struct Means {
  std::vector<double> label, prediction;
};
Means MeansOf(absl::Span<const float> predictions, absl::Span<const float> labels,
              size_t experts) {
  Means means;
  const size_t rows = labels.size() / experts;
  for (size_t e = 0; e < experts; ++e) {
    double label = 0, said = 0, said_anywhere = 0, count = 0;
    for (size_t at = e * rows; at < (e + 1) * rows; ++at) {
      said_anywhere += predictions[at];
      if (std::isnan(labels[at])) continue;
      label += labels[at];
      said += predictions[at];
      count += 1;
    }
    means.label.push_back(count > 0 ? label / count : 0.5);
    means.prediction.push_back(count > 0  ? said / count
                               : rows > 0 ? said_anywhere / static_cast<double>(rows)
                                          : 0);
  }
  return means;
}

// Sums over known labels y of one part of the predictions x.
struct Moments {
  double xx = 0, xy = 0;

  double Factor() const {
    return std::clamp((1 + xy) / (1 + xx), kLeastFactor, kMostFactor);
  }
  // Less the sum of y y.
  double SquaredError() const { return Factor() * (Factor() * xx - 2 * xy); }
};

size_t LeastSquaredError(const std::vector<Moments>& moments) {
  size_t best = 0;
  for (size_t l = 1; l < moments.size(); ++l) {
    if (moments[l].SquaredError() < moments[best].SquaredError()) best = l;
  }
  return best;
}

}  // namespace

std::vector<double> SharedDirection(absl::Span<const float> labels, size_t experts) {
  std::vector<double> direction = EqualShares(experts);
  const size_t rows = experts == 0 ? 0 : labels.size() / experts;
  std::vector<size_t> complete;
  for (size_t row = 0; row < rows; ++row) {
    bool all = true;
    for (size_t e = 0; e < experts && all; ++e) all = !std::isnan(labels[e * rows + row]);
    if (all) complete.push_back(row);
  }
  const size_t count = complete.size();
  if (count < kRowsAnExpert * experts) return direction;
  std::vector<float> centred(count * experts);
  for (size_t e = 0; e < experts; ++e) {
    double mean = 0;
    for (const size_t row : complete) mean += labels[e * rows + row];
    mean /= static_cast<double>(count);
    for (size_t i = 0; i < count; ++i) {
      centred[i * experts + e] = static_cast<float>(labels[e * rows + complete[i]] - mean);
    }
  }
  for (int turn = 0; turn < kMostTurns; ++turn) {
    std::vector<double> next(experts, 0.0);
    for (size_t i = 0; i < count; ++i) {
      const float* row = centred.data() + i * experts;
      double along = 0;
      for (size_t e = 0; e < experts; ++e) along += direction[e] * row[e];
      for (size_t e = 0; e < experts; ++e) next[e] += along * row[e];
    }
    const double length = std::sqrt(Dot(next, next));
    if (!(length > kNothing * static_cast<double>(count))) return EqualShares(experts);
    for (double& value : next) value /= length;
    const bool settled = 1 - std::abs(Dot(next, direction)) < kSettled;
    direction = std::move(next);
    if (settled) break;
  }
  return direction;
}

StrengthBlend StrengthBlend::Of(absl::Span<const std::vector<float>> predictions,
                                absl::Span<const float> labels, size_t experts) {
  StrengthBlend blend;
  const size_t strengths = predictions.size();
  const size_t rows = experts == 0 ? 0 : labels.size() / experts;
  blend.direction = SharedDirection(labels, experts);
  blend.parts.resize(strengths);
  for (size_t l = 0; l < strengths; ++l) {
    Means means = MeansOf(predictions[l], labels, experts);
    blend.label_mean = std::move(means.label);
    blend.parts[l].prediction_mean = std::move(means.prediction);
  }
  std::vector<double> deviation(experts), residual(experts);
  // How far along the direction a row's predictions are; `deviation` becomes what is across it.
  const auto split = [&](size_t l, size_t row) {
    for (size_t e = 0; e < experts; ++e) {
      deviation[e] = predictions[l][e * rows + row] - blend.parts[l].prediction_mean[e];
    }
    const double along = Dot(deviation, blend.direction);
    for (size_t e = 0; e < experts; ++e) deviation[e] -= along * blend.direction[e];
    return along;
  };

  std::vector<Moments> common(strengths), own(strengths);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t l = 0; l < strengths; ++l) {
      const double along = split(l, row);
      for (size_t e = 0; e < experts; ++e) {
        const float label = labels[e * rows + row];
        if (std::isnan(label)) continue;
        const double c = along * blend.direction[e];
        common[l].xx += c * c;
        common[l].xy += c * (label - blend.label_mean[e]);
      }
    }
  }
  const size_t common_strength = LeastSquaredError(common);
  const double factor = common[common_strength].Factor();
  blend.parts[common_strength].common = factor;

  std::vector<double> products(strengths * strengths, 0.0), across(strengths * experts);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t l = 0; l < strengths; ++l) {
      const double along = split(l, row);
      std::copy(deviation.begin(), deviation.end(),
                across.begin() + static_cast<std::ptrdiff_t>(l * experts));
      if (l != common_strength) continue;
      for (size_t e = 0; e < experts; ++e) residual[e] = factor * along * blend.direction[e];
    }
    for (size_t e = 0; e < experts; ++e) {
      const float label = labels[e * rows + row];
      if (std::isnan(label)) continue;
      const double y = label - blend.label_mean[e] - residual[e];
      for (size_t l = 0; l < strengths; ++l) {
        own[l].xy += across[l * experts + e] * y;
        for (size_t m = 0; m < strengths; ++m) {
          products[l * strengths + m] += across[l * experts + e] * across[m * experts + e];
        }
      }
    }
  }
  for (size_t l = 0; l < strengths; ++l) own[l].xx = products[l * strengths + l];
  blend.own_strength = LeastSquaredError(own);
  blend.own_slope = own[blend.own_strength].Factor();
  const size_t last = std::min(blend.own_strength + Stronger(experts), strengths - 1);
  const double share = 1 / static_cast<double>(last - blend.own_strength + 1);
  Moments together;  // smoothing has taken more than the mean of the factors gives back
  for (size_t l = blend.own_strength; l <= last; ++l) {
    blend.parts[l].own = share * own[l].Factor();
    together.xy += blend.parts[l].own * own[l].xy;
  }
  for (size_t l = 0; l < strengths; ++l) {
    for (size_t m = 0; m < strengths; ++m) {
      together.xx += blend.parts[l].own * blend.parts[m].own * products[l * strengths + m];
    }
  }
  for (Part& part : blend.parts) part.own *= together.Factor();
  return blend;
}

void StrengthBlend::AddFolded(size_t strength, absl::Span<const double> deviations,
                              absl::Span<double> sums) const {
  const Part& part = parts[strength];
  const double more = (part.common - part.own) * Dot(deviations, direction);
  for (size_t e = 0; e < deviations.size(); ++e) {
    sums[e] += part.own * deviations[e] + more * direction[e];
  }
}

void StrengthBlend::AddFolded(size_t strength, absl::Span<const float> weights,
                              absl::Span<double> sums) const {
  AddFolded(strength, std::vector<double>(weights.begin(), weights.end()), sums);
}

std::vector<float> StrengthBlend::Apply(absl::Span<const std::vector<float>> predictions) const {
  const size_t experts = label_mean.size();
  const size_t rows = predictions.empty() || experts == 0 ? 0 : predictions[0].size() / experts;
  std::vector<float> result(experts * rows);
  std::vector<double> deviation(experts), sums(experts);
  for (size_t row = 0; row < rows; ++row) {
    sums = label_mean;
    for (size_t l = 0; l < parts.size(); ++l) {
      if (!Uses(l)) continue;
      for (size_t e = 0; e < experts; ++e) {
        deviation[e] = predictions[l][e * rows + row] - parts[l].prediction_mean[e];
      }
      AddFolded(l, deviation, absl::MakeSpan(sums));
    }
    for (size_t e = 0; e < experts; ++e) {
      result[e * rows + row] = static_cast<float>(sums[e]);
    }
  }
  return result;
}

}  // namespace penstock::router
