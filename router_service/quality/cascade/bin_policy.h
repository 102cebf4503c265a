#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/quality/cascade/stage_policy.h"

namespace penstock::router {

// A table: whether the first of two stages' answer goes on, by how likely it is right. Both ends
// may stand, where it is sure and where nobody would be right: AutoMix, Aggarwal et al. 2023,
// arXiv:2310.12963.
class BinPolicy final : public StagePolicy {
 public:
  // Bin b holds P(right) from edges[b-1] on, below edges[b]; one edge fewer than bins.
  BinPolicy(StageList stages, std::vector<float> edges, std::vector<uint8_t> goes_on)
      : stages_(std::move(stages)), edges_(std::move(edges)), goes_on_(std::move(goes_on)) {}

  // Tensors edges [bins - 1], ascending, and goes_on [bins]; metadata "stages", two.
  static absl::StatusOr<std::unique_ptr<const BinPolicy>> Read(const Safetensors& file,
                                                               absl::string_view path,
                                                               StageList stages);
  static size_t BinOf(float p_right, absl::Span<const float> edges);

  absl::Span<const size_t> After(size_t standing) const override { return stages_.After(standing); }
  bool Stands(const StandingAnswer& answer, ExitState& state) const override;
  absl::string_view Rule() const override { return "the table of its confidence says so"; }

 private:
  const StageList stages_;
  const std::vector<float> edges_;
  const std::vector<uint8_t> goes_on_;
};

}  // namespace penstock::router
