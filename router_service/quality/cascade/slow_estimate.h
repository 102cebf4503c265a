#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "common/tensors/tensor.h"
#include "router_service/quality/answer_confidence.h"

namespace penstock::router {

// One row of a standing answer and of the verifier's.
struct Verification {
  AnswerConfidence standing, verifier;
  float agreement = 0;  // 1: the same answer, -1: another, 0: unknown
};
// (ConfidenceFeatures of both, agreement)
std::array<double, 5> VerificationFeatures(const Verification& row);

// Row by row, the class of the largest entry; of a last dimension of 1, yes or no. Empty where the
// tensors are not two FP32 answers to the same rows.
std::vector<float> AgreementOfRows(const Tensor& standing, const Tensor& verifier);

// Row by row what both answers say; empty where either tells no confidence, or of other rows.
std::vector<Verification> VerificationsOf(const Tensor& standing, const Tensor& verifier);

// P(right) of every expert once a verifier has answered too: sigma(a + b . VerificationFeatures),
// fitted as CascadeQuality's pairs are. Immutable, thread-safe.
class SlowEstimate {
 public:
  static constexpr size_t kParameters = 6;  // the offset, then five slopes

  // Tensors slow_weight [E, E, kParameters] and slow_knows [E], metadata "verifier", of a file of
  // `in_file` experts; columns[i] is the place there of expert i.
  static absl::StatusOr<std::unique_ptr<const SlowEstimate>> Read(
      const Safetensors& file, absl::string_view path, absl::Span<const size_t> columns,
      size_t in_file, const std::vector<std::string>& expert_names);

  size_t verifier() const { return verifier_; }
  // Whether the table told enough of both answers, and the fit was calibrated.
  bool Knows(size_t standing) const { return knows_[standing] != 0; }
  // The mean over the rows, of which there is at least one.
  void Predict(size_t standing, absl::Span<const Verification> rows,
               absl::Span<float> quality) const;

 private:
  SlowEstimate() = default;

  size_t verifier_ = 0;
  std::vector<float> weight_;  // [standing, asked, kParameters]
  std::vector<uint8_t> knows_;
};

}  // namespace penstock::router
