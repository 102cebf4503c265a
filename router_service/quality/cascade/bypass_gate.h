#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/features/feature_view.h"
#include "router_service/quality/cascade/stage_policy.h"

namespace penstock::router {

// Whether the first of two stages suffices, from the features of a request, before anything runs:
// its answer is then the answer, else the second stage's is and the first one is not asked. Learned
// from where the first was right, and where it was wrong and the second right.
class BypassGate final : public StagePolicy {
 public:
  BypassGate(StageList stages, std::vector<float> weight, float bias, float least)
      : stages_(std::move(stages)), weight_(std::move(weight)), bias_(bias), least_(least) {}

  // Tensors bypass_weight [d], bypass_bias [1] and bypass_least [1]; metadata "stages", two.
  static absl::StatusOr<std::unique_ptr<const BypassGate>> Read(const Safetensors& file,
                                                                absl::string_view path,
                                                                StageList stages);

  size_t dimension() const { return weight_.size(); }
  size_t first() const { return stages_.experts[0]; }
  size_t last() const { return stages_.experts[1]; }
  // P(the first suffices), of dimension() dense features; it does above the file's bypass_least.
  // Of what is not known nothing suffices but the last.
  double PSuffices(absl::Span<const float> z) const;
  bool Suffices(const FeatureView& z) const;

  absl::Span<const size_t> After(size_t) const override { return {}; }
  bool Stands(const StandingAnswer&, ExitState&) const override { return true; }
  absl::string_view Rule() const override { return "its features ask for more"; }
  const BypassGate* bypass() const override { return this; }

 private:
  const StageList stages_;
  const std::vector<float> weight_;
  const float bias_;
  const float least_;
};

}  // namespace penstock::router
