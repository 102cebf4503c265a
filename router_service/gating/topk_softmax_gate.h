#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/tensors/safetensors.h"
#include "kernels/linear/linear.h"
#include "router_service/gating/gate.h"

namespace penstock::router {

// h = W z + b, with the standardisation of z folded into W and b: Shazeer et al. 2017,
// arXiv:1701.06538, equation 4 without its noise, which is for training. ChooseTopK does the rest.
class TopkSoftmaxGate final : public Gate {
 public:
  // From the file, or with all logits equal where there is none.
  static absl::StatusOr<std::unique_ptr<const Gate>> Create(
      const config::v1::TopkSoftmax& config, const std::vector<std::string>& expert_names,
      size_t feature_dimension);
  static absl::StatusOr<std::unique_ptr<const Gate>> FromTensors(
      const Safetensors& file, const std::string& path,
      const std::vector<std::string>& expert_names, size_t feature_dimension, size_t k);

  size_t experts() const override { return experts_; }
  size_t dimension() const override { return dimension_; }
  size_t k() const override { return k_; }
  void Score(absl::Span<const float> z, absl::Span<const uint8_t> admissible, CounterRandom& random,
             absl::Span<float> logits) const override;
  void ScoreRows(int64_t rows, absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                 CounterRandom& random, absl::Span<float> logits) const override;

 private:
  TopkSoftmaxGate(size_t experts, size_t k) : experts_(experts), k_(k) {}

  const size_t experts_;
  const size_t k_;
  size_t dimension_ = 0;
  kernels::PackedLinear linear_;  // unused where dimension_ is 0
  std::vector<float> bias_;       // used where dimension_ is 0; empty = all 0
};

}  // namespace penstock::router
