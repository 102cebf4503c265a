#pragma once

#include <cstddef>

#include "absl/types/span.h"
#include "router_service/features/sparse_rows.h"
#include "router_service/learning/text/text_outcomes.h"
#include "router_service/quality/learned/feature_weighting.h"

namespace penstock::router {

// What the rows `taken` say about weighting: inverse document frequencies, mean and spread of the
// dense features, which weigh `dense_share` together beside a text of length 1. The buckets are
// folded until at most `most_columns` columns are left.
FeatureWeighting FitWeighting(const TextOutcomes& outcomes, absl::Span<const size_t> taken,
                              double dense_share, size_t most_columns);

// The rows `taken` as the model reads them.
SparseRows WeightedRows(const TextOutcomes& outcomes, const FeatureWeighting& weighting,
                        absl::Span<const size_t> taken);

}  // namespace penstock::router
