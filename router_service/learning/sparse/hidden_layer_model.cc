#include "router_service/learning/sparse/hidden_layer_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/random.h"
#include "router_service/learning/sparse/early_stopping.h"

namespace penstock::router {
namespace {

float Sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

// Uniform in +-sqrt(6 / (in + out)) (Glorot and Bengio 2010).
void Initialise(std::vector<float>& values, double limit, uint64_t seed, uint64_t sequence) {
  CounterRandom random(seed, sequence);
  for (float& value : values) {
    value = static_cast<float>(limit * (2 * random.Uniform() - 1));
  }
}

}  // namespace

HiddenLayerModel::HiddenLayerModel(size_t columns, size_t outputs,
                                   const HiddenLayerOptions& options)
    : outputs_(outputs),
      input_(columns, options.hidden),
      input_bias_(1, options.hidden),
      output_(outputs, options.hidden + 1) {
  const double hidden = static_cast<double>(options.hidden);
  // A row has length 1 whatever the number of columns is: they do not count as inputs.
  Initialise(input_.parameters().value, std::sqrt(6 / (1 + hidden)), options.seed, 1);
  Initialise(output_.value, std::sqrt(6 / (static_cast<double>(outputs) + hidden)), options.seed,
             2);
}

void HiddenLayerModel::Forward(const SparseRows& x, size_t row, std::vector<float>& hidden,
                               std::vector<float>& out) const {
  hidden.assign(input_bias_.value.begin(), input_bias_.value.end());
  input_.Forward(x, row, absl::MakeSpan(hidden));
  for (float& unit : hidden) unit = std::max(unit, 0.0f);
  out.resize(outputs_);
  for (size_t o = 0; o < outputs_; ++o) {
    const float* w = output_.value.data() + o * output_.width();
    float sum = w[hidden.size()];
    for (size_t k = 0; k < hidden.size(); ++k) sum += w[k] * hidden[k];
    out[o] = Sigmoid(sum);
  }
}

double HiddenLayerModel::Loss(const SparseRows& x, absl::Span<const float> targets,
                              absl::Span<const size_t> rows) const {
  std::vector<float> hidden, out;
  double loss = 0;
  for (const size_t row : rows) {
    Forward(x, row, hidden, out);
    for (size_t o = 0; o < outputs_; ++o) {
      const double p = std::clamp(double{out[o]}, 1e-7, 1 - 1e-7);
      const double y = targets[o * x.rows() + row];
      if (std::isnan(y)) continue;
      loss -= y * std::log(p) + (1 - y) * std::log(1 - p);
    }
  }
  return loss;
}

void HiddenLayerModel::Pass(const SparseRows& x, absl::Span<const float> targets,
                            absl::Span<const size_t> order, const HiddenLayerOptions& options) {
  std::vector<float> hidden, out, slope(options.hidden);
  for (size_t begin = 0; begin < order.size(); begin += options.batch) {
    const size_t end = std::min(order.size(), begin + options.batch);
    const float share = 1 / static_cast<float>(end - begin);
    for (size_t i = begin; i < end; ++i) {
      Forward(x, order[i], hidden, out);
      std::fill(slope.begin(), slope.end(), 0.0f);
      for (size_t o = 0; o < outputs_; ++o) {
        const float target = targets[o * x.rows() + order[i]];
        if (std::isnan(target)) continue;
        const float error = share * (out[o] - target);
        const float* w = output_.value.data() + o * output_.width();
        float* g = output_.gradient.data() + o * output_.width();
        for (size_t k = 0; k < hidden.size(); ++k) {
          slope[k] += error * w[k];
          g[k] += error * hidden[k];
        }
        g[hidden.size()] += error;
      }
      for (size_t k = 0; k < hidden.size(); ++k) {
        if (hidden[k] <= 0) slope[k] = 0;
        input_bias_.gradient[k] += slope[k];
      }
      input_.Backward(x, order[i], slope);
    }
    ++step_;
    input_.Step(step_, options.adam);
    input_bias_.Update(0, step_, {.rate = options.adam.rate});
    for (size_t o = 0; o < outputs_; ++o) output_.Update(o, step_, options.adam);
  }
}

HiddenLayerModel HiddenLayerModel::Fit(const SparseRows& x, absl::Span<const float> targets,
                                       size_t outputs, absl::Span<const uint32_t> group,
                                       const HiddenLayerOptions& options) {
  return FitUntilNoBetter(
      HiddenLayerModel(x.columns, outputs, options), HeldBackRows(group, options.seed),
      options.most_epochs, options.patience,
      [&](HiddenLayerModel& model, absl::Span<const size_t> order) {
        model.Pass(x, targets, order, options);
        ++model.epochs_;
      },
      [&](const HiddenLayerModel& model, absl::Span<const size_t> held) {
        return model.Loss(x, targets, held);
      });
}

TwoLayerWeights HiddenLayerModel::weights() const {
  return {output_.width() - 1, true, input_.parameters().value, input_bias_.value, output_.value};
}

std::vector<float> HiddenLayerModel::Predict(const SparseRows& x) const {
  std::vector<float> predictions(outputs_ * x.rows()), hidden, out;
  for (size_t row = 0; row < x.rows(); ++row) {
    Forward(x, row, hidden, out);
    for (size_t o = 0; o < outputs_; ++o) predictions[o * x.rows() + row] = out[o];
  }
  return predictions;
}

}  // namespace penstock::router
