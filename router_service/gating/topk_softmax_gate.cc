#include "router_service/gating/topk_softmax_gate.h"
#include "router_service/quality/artifact_checksum.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/expert_columns.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const Gate>> TopkSoftmaxGate::Create(
    const config::v1::TopkSoftmax& config, const std::vector<std::string>& expert_names,
    size_t feature_dimension) {
  const uint32_t k = config.has_k() ? config.k() : 1;
  if (k < 1 || k > expert_names.size()) {
    return absl::InvalidArgumentError(absl::StrCat("topk_softmax.k is ", k, ", but the pool has ",
                                                   expert_names.size(), " experts"));
  }
  if (config.file().empty()) {
    return absl::WrapUnique<const Gate>(new TopkSoftmaxGate(expert_names.size(), k));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file,
                            OpenArtifact(config.file()));
  return FromTensors(*file, config.file(), expert_names, feature_dimension, k);
}

absl::StatusOr<std::unique_ptr<const Gate>> TopkSoftmaxGate::FromTensors(
    const Safetensors& file, const std::string& path, const std::vector<std::string>& expert_names,
    size_t feature_dimension, size_t k) {
  PENSTOCK_ASSIGN_OR_RETURN(const LinearColumns columns,
                            ReadLinearColumns(file, path, expert_names, feature_dimension));
  auto gate = absl::WrapUnique(new TopkSoftmaxGate(expert_names.size(), k));
  gate->dimension_ = feature_dimension;
  gate->bias_ = columns.bias;
  gate->linear_ = kernels::PackedLinear(columns.weight.data(), columns.bias.data(),
                                        static_cast<int64_t>(feature_dimension),
                                        static_cast<int64_t>(expert_names.size()));
  return std::unique_ptr<const Gate>(std::move(gate));
}

void TopkSoftmaxGate::Score(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                            CounterRandom& random, absl::Span<float> logits) const {
  ScoreRows(1, z, admissible, random, logits);
}

void TopkSoftmaxGate::ScoreRows(int64_t rows, absl::Span<const float> z,
                                absl::Span<const uint8_t> admissible, CounterRandom& random,
                                absl::Span<float> logits) const {
  const size_t total = static_cast<size_t>(rows) * experts_;
  bool scored = false;
  if (dimension_ != 0) {
    kernels::LinearArgs args;
    args.w = linear_.weights();
    args.rows = rows;
    args.x = z.data();
    args.y = logits.data();
    scored = kernels::Linear(args).ok();
  }
  for (size_t i = 0; i < total && !scored; ++i) {
    logits[i] = bias_.empty() ? 0.0f : bias_[i % experts_];
  }
  for (size_t i = 0; i < total && !admissible.empty(); ++i) {
    if (!admissible[i % experts_]) logits[i] = -std::numeric_limits<float>::infinity();
  }
}

}  // namespace penstock::router
