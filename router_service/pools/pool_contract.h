#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tensors/infer_message.h"
#include "inference/grpc_service.pb.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// What goes into a pool and what comes out. Shapes are without the row dimension where `batched`;
// -1 is a dimension that may vary.
struct PoolContract {
  struct Tensor {
    std::string name;
    std::string datatype;
    std::vector<int64_t> shape;
  };
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
  bool batched = false;
  int64_t max_rows = 0;  // rows of one call to an expert; 0: no limit known

  const Tensor* FindOutput(absl::string_view name) const;
};

// From the pool's configuration; empty inputs and outputs where it names none.
PoolContract ContractFromConfig(const config::v1::Pool& pool);

// From what a replica says of its model. Triton's max_batch_size > 0 means batched; where a server
// has no ModelConfig, a model is batched if all inputs and outputs lead with -1.
PoolContract ContractFromMetadata(const inference::ModelMetadataResponse& metadata,
                                  const inference::ModelConfig* config);

// Empty when `expert` can serve `pool`, else the first difference. More outputs than the pool has
// are no difference; a -1 on either side agrees with any size.
std::string ContractDifference(const PoolContract& pool, const PoolContract& expert);

// Rows of a request that fits the contract (1 where not batched). INVALID_ARGUMENT names the field,
// what was wanted and what came.
absl::StatusOr<int64_t> CheckRequest(const PoolContract& contract, const InferRequestHeader& header,
                                     bool allow_zero_rows);

// OK when the response holds each wanted output (all of the contract where `wanted` is empty) with
// the contract's datatype and shape, and `rows` rows where batched.
absl::Status CheckResponse(const PoolContract& contract, const InferResponseHeader& header,
                           const std::vector<std::string>& wanted, int64_t rows);

}  // namespace penstock::router
