#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "router_service/learning/cascades/cascade_file.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"
#include "router_service/learning/trainer.h"

namespace penstock::router {

// INVALID_ARGUMENT: options of a cascade that do not go together.
absl::Status CheckCascade(const TrainOptions& options);

// Fits all that cascade.safetensors holds and reports it. `fold` [train rows] in [0, folds).
absl::StatusOr<CascadeParts> TrainCascades(const TrainOptions& options, const OutcomeTable& train,
                                           const OutcomeTable& heldout, absl::Span<const int> fold,
                                           int folds, TrainReport& report);

// What the router makes of the policy in the file at `path`.
absl::Status MeasurePolicy(const TrainOptions& options, const std::string& path,
                           const OutcomeTable& heldout, TrainReport& report);

}  // namespace penstock::router
