#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tensors/datatype.h"
#include "common/tensors/tensor.h"
#include "penstock/config/v1/model.pb.h"

namespace penstock::expert {

// One input or output that a model promises.
struct TensorContract {
  std::string name;
  DataType datatype = DataType::kFp32;
  std::vector<int64_t> shape;  // without the rows where the model batches; -1 = variable
};

// What a model takes and gives, without what it does.
struct Contract {
  std::vector<TensorContract> inputs;
  std::vector<TensorContract> outputs;
  int64_t max_rows = 64;  // 0: no row dimension, requests run one by one
  absl::Duration max_delay;
  int64_t max_queue = 1024;

  bool has_rows() const { return max_rows > 0; }
  // As clients see it: with the row dimension, -1, in front.
  std::vector<int64_t> WireShape(const TensorContract& tensor) const;
};

// Checks names, datatypes, shapes and batching. INVALID_ARGUMENT names the field.
absl::StatusOr<Contract> ParseContract(const config::v1::Model& config);

// The inputs of a request in the contract's order.
struct ContractInputs {
  std::vector<Tensor> tensors;
  int64_t rows = 1;
};

// Checks `inputs` (any order) against the contract: names, datatypes, shapes, equal row counts.
// INVALID_ARGUMENT names the input, what was wanted and what came.
absl::StatusOr<ContractInputs> MatchInputs(const Contract& contract, std::vector<Tensor> inputs);

}  // namespace penstock::expert
