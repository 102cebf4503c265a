#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace penstock::router {

// No admissible expert is left. FAILED_PRECONDITION with a payload that IsNoFeasibleExpert finds:
// the pool's policy (reject, degrade) decides what becomes of the request, never an arbitrary
// expert.
absl::Status NoFeasibleExpertError(absl::string_view detail);
bool IsNoFeasibleExpert(const absl::Status& status);

struct WeightedExpert {
  uint32_t expert = 0;
  float weight = 0;
};

struct TopKChoice {
  // Best first; weights are positive or zero and sum to 1.
  absl::InlinedVector<WeightedExpert, 8> experts;
  // An admissible expert's logit was NaN or +infinity, and the expert was left out.
  bool non_finite = false;
};

// The k largest logits of admissible experts (fewer where fewer are left), ties to the lower index,
// g_i = exp(h_i) / sum over the chosen: Shazeer et al. 2017, arXiv:1701.06538, equations 3 and 5.
// The mask is a list, not a value, so a logit of zero is like any other. Logits that are not finite
// are left out; -infinity is how a gate gives no weight. `admissible` as in Gate::Score.
// NoFeasibleExpertError when nobody is left.
absl::StatusOr<TopKChoice> ChooseTopK(absl::Span<const float> logits,
                                      absl::Span<const uint8_t> admissible, size_t k);

// Softmax over all admissible experts: the gate's probability of each, 0 for the others. False (and
// all zero) when nobody is left.
bool GateMass(absl::Span<const float> logits, absl::Span<const uint8_t> admissible,
              absl::Span<float> mass);

// ChooseTopK for every row, by the route_topk kernel: ids and weights [rows, k], best first, unused
// slots id -1 and weight 0. Logits that are not finite are replaced by -infinity in place. `k` at
// most `experts`.
struct RowChoiceStatistics {
  int64_t non_finite_rows = 0;
  int64_t rows_without_expert = 0;
};
absl::StatusOr<RowChoiceStatistics> ChooseTopKRows(int64_t rows, int64_t experts,
                                                   absl::Span<float> logits,
                                                   absl::Span<const uint8_t> admissible, int64_t k,
                                                   absl::Span<int32_t> ids,
                                                   absl::Span<float> weights);

}  // namespace penstock::router
