#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/quality/cascade/stage_policy.h"

namespace penstock::router {

// An answer stands from a fixed confidence of its expert on; else the one that the file names is
// asked. What is left where probabilities are too badly calibrated to weigh a gain against a price.
class FixedConfidence final : public StagePolicy {
 public:
  // By expert. `next` of an expert is itself where nobody is worth asking after it.
  FixedConfidence(std::vector<float> from, std::vector<size_t> next)
      : from_(std::move(from)), next_(std::move(next)) {}

  // Tensors fixed_from [E] and fixed_next [E] of a file of `in_file` experts; columns[i] is the
  // place there of expert i. An expert whose next is none of the pool's stands.
  static absl::StatusOr<std::unique_ptr<const FixedConfidence>> Read(
      const Safetensors& file, absl::string_view path, absl::Span<const size_t> columns,
      size_t in_file);

  absl::Span<const size_t> After(size_t standing) const override;
  bool Stands(const StandingAnswer& answer, ExitState& state) const override;
  absl::string_view Rule() const override { return "the answer is not as sure as the file asks"; }

 private:
  const std::vector<float> from_;
  const std::vector<size_t> next_;
};

}  // namespace penstock::router
