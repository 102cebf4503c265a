#pragma once

#include <array>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "common/tensors/tensor.h"

namespace penstock::router {

// The two largest probabilities of one row of an answer.
struct AnswerConfidence {
  float first = 0;
  float second = 0;
};

// Of each row of an FP32 tensor, classes in the last dimension. A row that is no distribution (an
// entry below zero, or a sum further than 0.02 from 1) is taken as logits and goes through softmax
// first; a last dimension of 1 is P(yes) of a yes-no question. INVALID_ARGUMENT for other types and
// for no rows: the answer says nothing of itself. OUT_OF_RANGE for entries that are not finite: it is
// not confident, whatever else it says.
absl::StatusOr<absl::InlinedVector<AnswerConfidence, 4>> ReadConfidences(const Tensor& answer);

// (logit p_1, log p_1/p_2), with probabilities held within [1e-5, 1 - 1e-5]: tables round there. One
// that is not a number counts as the least.
std::array<double, 2> ConfidenceFeatures(const AnswerConfidence& confidence);

}  // namespace penstock::router
