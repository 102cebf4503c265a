#include "router_service/learning/sparse/matrix_factorisation.h"

#include <algorithm>
#include <cmath>

#include "common/random.h"
#include "router_service/learning/sparse/early_stopping.h"

namespace penstock::router {
namespace {

void Initialise(std::vector<float>& values, double scale, uint64_t seed, uint64_t sequence) {
  CounterRandom random(seed, sequence);
  for (float& value : values) {
    // Sum of three uniforms, of variance 1: near enough to a normal draw.
    const double sum = random.Uniform() + random.Uniform() + random.Uniform();
    value = static_cast<float>(scale * 2 * (sum - 1.5));
  }
}

float InverseLength(const float* v, size_t width) {
  double square = 0;
  for (size_t k = 0; k < width; ++k) square += double{v[k]} * v[k];
  return square > 0 ? static_cast<float>(1 / std::sqrt(square)) : 0.0f;
}

// Loss over all pairs of a row with a winner, each row counting once, and its slope by utility.
double PairLoss(absl::Span<const float> utility, absl::Span<const float> quality, size_t rows,
                size_t row, std::vector<float>& slope) {
  const size_t experts = utility.size();
  slope.assign(experts, 0.0f);
  double loss = 0;
  int pairs = 0;
  for (size_t a = 0; a < experts; ++a) {
    for (size_t b = 0; b < experts; ++b) {
      if (!(quality[a * rows + row] > quality[b * rows + row])) continue;
      const double margin = double{utility[a]} - utility[b];
      const double miss = MatrixFactorisation::WinProbability(utility[b], utility[a]);
      loss += margin > 0 ? std::log1p(std::exp(-margin)) : std::log1p(std::exp(margin)) - margin;
      slope[a] -= static_cast<float>(miss);
      slope[b] += static_cast<float>(miss);
      ++pairs;
    }
  }
  if (pairs == 0) return 0;
  for (float& s : slope) s /= static_cast<float>(pairs);
  return loss / pairs;
}

}  // namespace

double MatrixFactorisation::WinProbability(double utility, double other_utility) {
  return 1 / (1 + std::exp(other_utility - utility));
}

void MatrixFactorisation::ScaleExpert(size_t expert, float factor) {
  const size_t width = vector_.width();
  for (size_t k = 0; k < width; ++k) vector_.value[expert * width + k] *= factor;
}

MatrixFactorisation::MatrixFactorisation(size_t columns, size_t experts,
                                         const MatrixFactorisationOptions& options)
    : experts_(experts),
      projection_(columns, options.width),
      vector_(experts, options.width),
      mixing_(1, options.width) {
  Initialise(projection_.parameters().value, 1, options.seed, 1);
  Initialise(vector_.value, 1, options.seed, 2);
  Initialise(mixing_.value, 1 / std::sqrt(static_cast<double>(options.width)), options.seed, 3);
}

void MatrixFactorisation::Utilities(const SparseRows& x, size_t row, std::vector<float>& projected,
                                    std::vector<float>& utility) const {
  const size_t width = mixing_.width();
  projected.assign(width, 0.0f);
  projection_.Forward(x, row, absl::MakeSpan(projected));
  utility.resize(experts_);
  for (size_t e = 0; e < experts_; ++e) {
    const float* v = vector_.value.data() + e * width;
    float sum = 0;
    for (size_t k = 0; k < width; ++k) sum += mixing_.value[k] * v[k] * projected[k];
    utility[e] = sum * InverseLength(v, width);
  }
}

double MatrixFactorisation::Loss(const SparseRows& x, absl::Span<const float> quality,
                                 absl::Span<const size_t> rows) const {
  std::vector<float> projected, utility, slope;
  double loss = 0;
  for (const size_t row : rows) {
    Utilities(x, row, projected, utility);
    loss += PairLoss(utility, quality, x.rows(), row, slope);
  }
  return loss;
}

void MatrixFactorisation::Pass(const SparseRows& x, absl::Span<const float> quality,
                               absl::Span<const size_t> order,
                               const MatrixFactorisationOptions& options) {
  const size_t width = options.width;
  std::vector<float> projected, utility, slope, back(width);
  for (size_t begin = 0; begin < order.size(); begin += options.batch) {
    const size_t end = std::min(order.size(), begin + options.batch);
    const float share = 1 / static_cast<float>(end - begin);
    for (size_t i = begin; i < end; ++i) {
      Utilities(x, order[i], projected, utility);
      PairLoss(utility, quality, x.rows(), order[i], slope);
      std::fill(back.begin(), back.end(), 0.0f);
      for (size_t e = 0; e < experts_; ++e) {
        const float* v = vector_.value.data() + e * width;
        float* g = vector_.gradient.data() + e * width;
        const float inverse = InverseLength(v, width);
        const float s = slope[e] * share;
        // d u / d v: the part along v itself changes only its length.
        const float along = s * utility[e] * inverse * inverse;
        for (size_t k = 0; k < width; ++k) {
          const float unit = v[k] * inverse;
          g[k] += s * inverse * mixing_.value[k] * projected[k] - along * v[k];
          mixing_.gradient[k] += s * unit * projected[k];
          back[k] += s * unit * mixing_.value[k];
        }
      }
      projection_.Backward(x, order[i], back);
    }
    ++step_;
    projection_.Step(step_, options.adam);
    mixing_.Update(0, step_, options.adam);
    for (size_t e = 0; e < experts_; ++e) vector_.Update(e, step_, options.adam);
  }
}

MatrixFactorisation MatrixFactorisation::Fit(const SparseRows& x, absl::Span<const float> quality,
                                             size_t experts, absl::Span<const uint32_t> group,
                                             const MatrixFactorisationOptions& options) {
  return FitUntilNoBetter(
      MatrixFactorisation(x.columns, experts, options), HeldBackRows(group, options.seed),
      options.most_epochs, options.patience,
      [&](MatrixFactorisation& model, absl::Span<const size_t> order) {
        model.Pass(x, quality, order, options);
      },
      [&](const MatrixFactorisation& model, absl::Span<const size_t> held) {
        return model.Loss(x, quality, held);
      });
}

TwoLayerWeights MatrixFactorisation::weights() const {
  const size_t width = mixing_.width();
  std::vector<float> mean(width, 0.0f), output;
  for (const bool centred : {false, true}) {
    for (size_t e = 0; e < experts_; ++e) {
      const float* v = vector_.value.data() + e * width;
      const float inverse = InverseLength(v, width);
      for (size_t k = 0; k < width; ++k) {
        const float weight = mixing_.value[k] * v[k] * inverse;
        if (centred) {
          output.push_back(weight - mean[k]);
        } else {
          mean[k] += weight / static_cast<float>(experts_);
        }
      }
      if (centred) output.push_back(0);
    }
  }
  return {width, false, projection_.parameters().value, std::vector<float>(width, 0.0f), output};
}

std::vector<float> MatrixFactorisation::Predict(const SparseRows& x) const {
  std::vector<float> utilities(experts_ * x.rows()), projected, utility;
  for (size_t row = 0; row < x.rows(); ++row) {
    Utilities(x, row, projected, utility);
    for (size_t e = 0; e < experts_; ++e) utilities[e * x.rows() + row] = utility[e];
  }
  return utilities;
}

}  // namespace penstock::router
