#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/learning/count/count_trainer.h"
#include "router_service/learning/gate_targets.h"
#include "router_service/learning/gates/gate_trainer.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"

namespace penstock::router {

struct TrainOptions {
  // Outcome table: JSON lines, plain or gzipped (outcome_table.h).
  std::string outcomes_file;
  // Raw little-endian fp32 matrix that "row" and "image_index" point into. Empty: inputs are in the
  // table.
  std::string inputs_file;
  size_t input_dimension = 0;
  // As in the pool that will serve the files. No kind set: z is the input as it stands.
  config::v1::Features features;
  // Experts to fit, in this order. Empty: those of the table, in order of appearance.
  std::vector<std::string> experts;
  // gate.safetensors, quality.safetensors and, where the table tells confidences,
  // cascade.safetensors. Empty: nothing is written.
  std::string output_folder;
  uint64_t seed = 1;
  // Share of the table that only measures, in [0.05, 0.9].
  double heldout_share = 0.2;
  // Price of one unit of cost in quality units, for the gate's targets. 0: the gate learns who is
  // right.
  double price = 0;
  // Stages of a cascade in the order asked, the last the dearest, and the quality that it may lose
  // against the last one asked alone, in (0, 1); both or neither, unless a policy that wants no risk
  // decides. Unset: the cascade weighs gain against price, and promises no risk.
  std::vector<std::string> cascade;
  std::optional<double> risk;
  // How the stages are decided over, by a name of CascadeTrainers(). Empty: by a stated risk.
  std::string cascade_policy;
  double tradeoff = 0.7;  // of jei: worth of asking every stage, in quality units; at least 0
  // Expert that gives second opinions near the price rule's boundary. Empty: nobody.
  std::string verifier;
  // What the gates learn of a request: shared, or a utility label at `price`.
  GateLabels labels = GateLabels::kShared;
  // Trains the gate that says how many experts a request asks for: count.safetensors. Unset: none.
  std::optional<CountOptions> count;
  // The gate to train beside the top-k softmax one, by a name of GateTrainers(); its file is
  // <name>.safetensors. "topk_softmax": none.
  std::string gate = "topk_softmax";
  GateTrainOptions gate_options;
  // Written into the files' metadata as it is.
  std::string date;
};

// Fits a gate, calibrated quality heads and, where it can, the cascade's pairs, and measures them
// on the held-out rows. The same options and bytes give the same files. Not for the request path.
absl::StatusOr<TrainReport> Train(const TrainOptions& options);
// The same from a table at hand, of which messages speak as options.outcomes_file.
absl::StatusOr<TrainReport> TrainOn(const TrainOptions& options, const OutcomeTable& table);

}  // namespace penstock::router
