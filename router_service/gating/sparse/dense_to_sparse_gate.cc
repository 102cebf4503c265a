#include "router_service/gating/sparse/dense_to_sparse_gate.h"

#include <cmath>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/weights/active_softmax.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const Gate>> DenseToSparseGate::Create(
    const config::v1::DenseToSparse& config, const std::vector<std::string>& expert_names,
    size_t feature_dimension) {
  PENSTOCK_ASSIGN_OR_RETURN(const GateFile file,
                            GateFile::Open(config.file(), "dense_to_sparse", expert_names));
  const int64_t n = static_cast<int64_t>(file.experts());
  PENSTOCK_ASSIGN_OR_RETURN(const double tau, file.Scalar("tau"));
  if (!(tau > 0)) return file.Refused(absl::StrCat("tau is ", tau, ", wanted above 0"));
  const size_t k = config.has_k() ? config.k() : expert_names.size();
  auto gate =
      absl::WrapUnique(new DenseToSparseGate(expert_names.size(), feature_dimension, k, tau));
  PENSTOCK_ASSIGN_OR_RETURN(gate->linear_, file.Heads("linear", {n}, feature_dimension));
  gate->columns_ = file.columns();
  const double theta = config.has_theta() ? config.theta() : kTheta;
  gate->thresholds_.assign(expert_names.size(), theta);
  if (config.cost_aware()) {
    if (!file.Has("cost")) {
      return file.Refused(
          "has no tensor cost, which dense_to_sparse.cost_aware needs: the outcome "
          "table that it was trained on tells no costs");
    }
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> of_file, file.Tensor("cost", {n}));
    std::vector<double> cost;
    for (const size_t column : gate->columns_) cost.push_back(of_file[column]);
    for (const double value : cost) {
      if (!(value > 0)) return file.Refused(absl::StrCat("cost is ", value, ", wanted above 0"));
    }
    gate->thresholds_ = CostAwareThresholds(theta, cost);
  }
  return std::unique_ptr<const Gate>(std::move(gate));
}

void DenseToSparseGate::Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                             absl::Span<double> scores) const {
  absl::InlinedVector<double, 64> logits(scores.begin(), scores.end());  // -infinity
  for (size_t i = 0; i < scores.size(); ++i) {
    if (Admits(admissible, i)) logits[i] = linear_.Score(columns_[i], z);
  }
  ActiveSoftmax(logits, tau_, thresholds_, scores);
  for (double& score : scores) score = std::log(score);
}

}  // namespace penstock::router
