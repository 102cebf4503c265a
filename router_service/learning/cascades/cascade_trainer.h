#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "router_service/learning/cascade_fit.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"
#include "router_service/quality/cascade_quality.h"

namespace penstock::router {

// What a policy is trained from. Borrows.
struct CascadeTrainingSet {
  const OutcomeTable& train;
  absl::Span<const int> fold;  // [train rows] in [0, folds); fold 0 chooses, the others fit
  int folds = 5;
  const CascadeFit& fit;
  std::vector<size_t> stages;  // in the order asked
  double risk = 0;             // bypass: quality that may be lost, in (0, 1)
  double tradeoff = 0.7;       // jei: worth of the whole cascade's cost, in units of quality
};

struct TrainedCascade {
  std::vector<SafetensorsTensor> tensors;
  std::map<std::string, std::string> metadata;
  std::vector<std::string> warnings;
};

// One way to decide over stages.
struct CascadeTrainer {
  absl::string_view name;  // as --policy and the file's metadata "policy" have it
  absl::string_view purpose;
  bool needs_risk = false;
  bool reads_answers = true;  // every stage but the last must tell its confidence
  // INVALID_ARGUMENT: a table without costs, or with too few rows that tell every stage.
  absl::StatusOr<TrainedCascade> (*train)(const CascadeTrainingSet& set);
};
// automix, jei, bypass.
absl::Span<const CascadeTrainer> CascadeTrainers();
const CascadeTrainer* FindCascadeTrainer(absl::string_view name);  // null: none

absl::StatusOr<TrainedCascade> TrainAutomix(const CascadeTrainingSet& set);
absl::StatusOr<TrainedCascade> TrainExitGates(const CascadeTrainingSet& set);
absl::StatusOr<TrainedCascade> TrainBypass(const CascadeTrainingSet& set);

// Rows that tell the quality of every stage and, where `confidences`, how sure all but the last
// are.
std::vector<size_t> RowsWithStages(const OutcomeTable& table, absl::Span<const size_t> stages,
                                   bool confidences);

// `cascade`, whose experts are the table's, on `heldout` from the first stage on.
CascadePolicyReport EvaluateStages(const CascadeQuality& cascade, const OutcomeTable& heldout,
                                   absl::Span<const size_t> stages);

}  // namespace penstock::router
