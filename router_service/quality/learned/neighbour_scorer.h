#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/quality/learned/logit_scorer.h"
#include "router_service/quality/learned/neighbour_index.h"

namespace penstock::router {

// What came of the most alike requests of the table (RouterBench's kNN router, Hu et al. 2024,
// arXiv:2403.12031, with more neighbours and shrinkage): w_j = softmax(cos_j / 0.05),
// k_eff = 1 / sum w^2, r = (k_eff sum w label + 2 prior) / (k_eff + 2),
// sigma = sqrt(r (1 - r) / (k_eff + 2)).
class NeighbourScorer final : public LogitScorer {
 public:
  static constexpr size_t kNeighbours = 100;
  static constexpr double kTemperature = 0.05, kPriorWeight = 2;

  struct Labels {
    size_t k = kNeighbours;
    std::vector<float> prior;    // [experts]
    std::vector<float> quality;  // [experts, rows], NaN = not known
    // [experts, rows], length of the answer over the expert's mean; NaN = not known. Empty: of
    // nobody.
    std::vector<float> work;
  };

  NeighbourScorer(NeighbourIndex index, Labels labels, std::string graph)
      : index_(std::move(index)), labels_(std::move(labels)), graph_(std::move(graph)) {}
  static absl::StatusOr<std::unique_ptr<const LogitScorer>> Create(SparseRows rows, Labels labels);
  static absl::StatusOr<std::unique_ptr<const LogitScorer>> FromTensors(const Safetensors& file,
                                                                        const std::string& path,
                                                                        size_t columns,
                                                                        size_t experts);

  size_t experts() const override { return labels_.prior.size(); }
  void Score(absl::Span<const uint32_t> columns, absl::Span<const float> values,
             LogitScores& scores) const override;
  void AppendTo(std::vector<SafetensorsTensor>& tensors,
                std::map<std::string, std::string>& metadata) const override;

 private:
  const NeighbourIndex index_;
  const Labels labels_;
  const std::string graph_;  // as the file has it; only of one that was built
};

}  // namespace penstock::router
