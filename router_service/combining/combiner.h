#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
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

// Why an answer was worth what it was, by objective.
struct AnswerParts {
  size_t expert = 0;
  std::vector<std::pair<std::string, double>> parts;
};

// One answer from several. Answers are put into the order of their experts first, so sums do not
// depend on who came first. Immutable, thread-safe.
class Combiner {
 public:
  virtual ~Combiner() = default;

  // Weights are scaled to sum 1 (all zero: equal). Outputs that are not combined come from the
  // answer with the largest weight (ties: the lowest expert). Different outputs, types or shapes,
  // and values that cannot be combined, are INTERNAL and name the expert; of values that are no
  // numbers, which inputs can cause, it is OUT_OF_RANGE. At least one answer.
  virtual absl::StatusOr<std::vector<Tensor>> Combine(
      absl::Span<const ExpertAnswer> answers) const = 0;

  // The same for a request whose prompt is known; a combiner that ranks appends to `parts` what it
  // found.
  virtual absl::StatusOr<std::vector<Tensor>> CombineFor(absl::string_view prompt,
                                                         absl::Span<const ExpertAnswer> answers,
                                                         std::vector<AnswerParts>& parts) const {
    static_cast<void>(prompt);
    static_cast<void>(parts);
    return Combine(answers);
  }
};

// As the pool has it. INVALID_ARGUMENT names what its combiner needs and lacks.
absl::StatusOr<std::unique_ptr<const Combiner>> MakeCombiner(const config::v1::Pool& pool);

// Index in `outputs` of the tensor that is combined and that confidences are read from; -1 for
// none. `combined_output` empty: the first FP32 output.
int CombinedOutput(absl::Span<const Tensor> outputs, absl::string_view combined_output);

}  // namespace penstock::router
