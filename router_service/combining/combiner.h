#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/tensor.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// One expert's decoded answer. Names and outputs are borrowed.
struct ExpertAnswer {
  size_t expert = 0;  // index in the pool
  absl::string_view name;
  float weight = 1;  // at least 0
  const std::vector<Tensor>* outputs = nullptr;
};

// One answer from several. Answers are put into the order of their experts first, so sums do not
// depend on who came first. Immutable, thread-safe.
class Combiner {
 public:
  virtual ~Combiner() = default;

  // Weights are scaled to sum 1 (all zero: equal). Outputs that are not combined come from the
  // answer with the largest weight (ties: the lowest expert). Different outputs, types or shapes,
  // and values that cannot be combined, are INTERNAL and name the expert. At least one answer.
  virtual absl::StatusOr<std::vector<Tensor>> Combine(
      absl::Span<const ExpertAnswer> answers) const = 0;
};

// `combined_output` empty: the first FP32 output.
std::unique_ptr<const Combiner> MakeCombiner(config::v1::Combiner kind,
                                             std::string combined_output);

// Index in `outputs` of the tensor that is combined and that confidences are read from; -1 for
// none.
int CombinedOutput(absl::Span<const Tensor> outputs, absl::string_view combined_output);

}  // namespace penstock::router
