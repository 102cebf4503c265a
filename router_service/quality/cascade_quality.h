#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "common/tensors/tensor.h"
#include "router_service/quality/answer_confidence.h"

namespace penstock::router {

// P(right) of every expert given how sure the standing answer's expert is of its own answer:
// sigma(a + b_1 f_1 + b_2 f_2) for each pair (standing, asked), calibrated on held-out folds by
// `penstock train`; f as in ConfidenceFeatures. Immutable, thread-safe.
class CascadeQuality {
 public:
  // Experts in the pool's order, found by name in the file. INVALID_ARGUMENT names a missing one.
  static absl::StatusOr<std::unique_ptr<const CascadeQuality>> Open(
      const std::string& path, const std::vector<std::string>& expert_names);
  static absl::StatusOr<std::unique_ptr<const CascadeQuality>> FromTensors(
      const Safetensors& file, absl::string_view path,
      const std::vector<std::string>& expert_names);

  size_t experts() const { return experts_; }
  // Whether the table it was trained on told this expert's confidence: else it cannot stand.
  bool CanStand(size_t expert) const { return can_stand_[expert] != 0; }

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
};

}  // namespace penstock::router
