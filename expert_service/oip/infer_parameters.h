#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tensors/infer_message.h"
#include "expert_service/models/contract.h"

namespace penstock::expert {

// What the request parameters that an expert knows ask for; others mean nothing to it.
struct InferParameters {
  std::optional<absl::Duration> timeout;  // Triton's `timeout`, from arrival
};

// INVALID_ARGUMENT for `penstock_` names (a router removes its own, and a misspelt one must not be
// overlooked), for sequences, and for values of the wrong type.
absl::StatusOr<InferParameters> ReadParameters(const std::vector<Parameter>& parameters);

// Indexes of the contract's outputs in the order asked for; all of them where none is named.
absl::StatusOr<std::vector<size_t>> ReadRequestedOutputs(
    const Contract& contract, const std::vector<RequestedOutput>& outputs);

}  // namespace penstock::expert
