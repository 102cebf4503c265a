#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "common/tensors/tensor.h"
#include "router_service/quality/answer_confidence.h"

namespace penstock::router {

// A cascade that was calibrated to a stated risk (`penstock train --risk`): its stages are asked in
// order, and an answer stands iff P(right) of it minus that of the last stage exceeds `least_lead`.
struct CascadeStages {
  std::vector<size_t> experts;  // in the pool's order; at least 2
  float least_lead = 0;         // +infinity: only the last stage's answer stands

  // Those asked after `standing`, which is one of them.
  absl::Span<const size_t> After(size_t standing) const;
  // Whether the answer of `standing`, a stage before the last, may stand; quality as
  // CascadeQuality::Predict.
  bool MayStand(size_t standing, absl::Span<const float> quality) const;
};

// P(right) of every expert given how sure the standing answer's expert is of its own answer:
// sigma(a + b_1 f_1 + b_2 f_2) for each pair (standing, asked), calibrated on held-out folds by
// `penstock train`; f as in ConfidenceFeatures. Immutable, thread-safe.
class CascadeQuality {
 public:
  // Experts in the pool's order, found by name in the file. INVALID_ARGUMENT names a missing one,
  // and a stage that is no expert of the pool or cannot stand.
  static absl::StatusOr<std::unique_ptr<const CascadeQuality>> Open(
      const std::string& path, const std::vector<std::string>& expert_names);
  static absl::StatusOr<std::unique_ptr<const CascadeQuality>> FromTensors(
      const Safetensors& file, absl::string_view path,
      const std::vector<std::string>& expert_names);

  size_t experts() const { return experts_; }
  // Whether the table it was trained on told this expert's confidence: else it cannot stand.
  bool CanStand(size_t expert) const { return can_stand_[expert] != 0; }

  // Unset: no risk was stated, and gain is weighed against price.
  const std::optional<CascadeStages>& stages() const { return stages_; }

  // quality[i] = P(expert i right); quality[standing] is the standing answer's own (p_stay), the
  // others are p_big. The mean over the rows of the answer. CanStand(standing) and at least one
  // row.
  void Predict(size_t standing, absl::Span<const AnswerConfidence> rows,
               absl::Span<float> quality) const;

 private:
  CascadeQuality() = default;

  size_t experts_ = 0;
  std::vector<float> weights_;  // [standing, asked, 3]: a, b_1, b_2
  std::vector<uint8_t> can_stand_;
  std::optional<CascadeStages> stages_;
};

}  // namespace penstock::router
