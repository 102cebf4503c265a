#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/tensor.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// The sub-batch of one expert of a ROW pool: its output row i belongs to request row rows[i],
// counts with weights[i] and stands in slot slots[i] of that row's choice (0 = the best).
struct RowAnswer {
  absl::string_view name;
  const std::vector<Tensor>* outputs = nullptr;
  absl::Span<const int32_t> rows;
  absl::Span<const float> weights;
  absl::Span<const int32_t> slots;
};

// Request rows `rows` of the leading dimension, in that order (copies; BYTES too).
absl::StatusOr<Tensor> GatherRows(const Tensor& tensor, absl::Span<const int32_t> rows);

// Whole answer [rows, ...] from the sub-batches. WEIGHTED_SUM: FP32 outputs are summed in fp32 in
// slot order, as one MoE layer would, y[r] = sum over slots of weight * y_e; other outputs come
// from the row's lowest slot. MIXTURE_OF_PROBABILITIES: the same, FP32 outputs renormalised over
// the last dimension. BEST: every output from the lowest slot, unweighted. Any other
// is INVALID_ARGUMENT: a pool's configuration refuses it with CheckRowCombiner. A row without an
// answer, and outputs that differ between experts, are INTERNAL.
absl::StatusOr<std::vector<Tensor>> ScatterRows(config::v1::Combiner kind, int64_t rows,
                                                absl::Span<const RowAnswer> answers);
absl::Status CheckRowCombiner(config::v1::Combiner kind);

}  // namespace penstock::router
