#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "router_service/learning/sparse/sparse_layer.h"
#include "router_service/quality/learned/two_layer_scorer.h"

namespace penstock::router {

struct HiddenLayerOptions {
  size_t hidden = 100;
  size_t batch = 32;
  int most_epochs = 200;
  // Epochs without a better log loss on the tenth of the rows that is held back.
  int patience = 3;
  AdamOptions adam{.rate = 1e-3, .weight_decay = 0};
  uint64_t seed = 1;
};

// One hidden layer of rectified units on sparse features, a sigmoid for each output: the MLP router
// of RouterBench (hidden 100, rate 1e-3, at most 200 passes; here all models share the hidden
// layer and training stops early), and with one output the encoder of a binary router.
class HiddenLayerModel {
 public:
  // targets [outputs, rows] in [0, 1], NaN = not known; log loss. `group` keeps variants of one question on one side
  // of the held-back tenth.
  static HiddenLayerModel Fit(const SparseRows& x, absl::Span<const float> targets, size_t outputs,
                              absl::Span<const uint32_t> group, const HiddenLayerOptions& options);

  // -> [outputs, rows], in [0, 1]
  std::vector<float> Predict(const SparseRows& x) const;
  TwoLayerWeights weights() const;
  int epochs() const { return epochs_; }

 private:
  HiddenLayerModel(size_t columns, size_t outputs, const HiddenLayerOptions& options);
  void Forward(const SparseRows& x, size_t row, std::vector<float>& hidden,
               std::vector<float>& out) const;
  double Loss(const SparseRows& x, absl::Span<const float> targets,
              absl::Span<const size_t> rows) const;
  void Pass(const SparseRows& x, absl::Span<const float> targets, absl::Span<const size_t> order,
            const HiddenLayerOptions& options);

  size_t outputs_;
  SparseLayer input_;
  AdamParameters input_bias_;  // [1, hidden]
  AdamParameters output_;      // [outputs, hidden + 1], bias last
  int64_t step_ = 0;
  int epochs_ = 0;
};

}  // namespace penstock::router
