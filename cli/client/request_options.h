#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client/pool_client.h"
#include "common/tensors/infer_message.h"
#include "inference/grpc_service.pb.h"

namespace CLI {
class App;
}

namespace penstock::cli {

// What `infer`, `explain` and `load` have in common: whom to ask, and what.
struct RequestOptions {
  ClientOptions client;
  std::string pool;
  // NAME=VALUE: a JSON array or scalar; @FILE, raw little-endian values; @FILE#ROW, one row of
  // them. Text stands for a BYTES tensor's one element.
  std::vector<std::string> inputs;
  std::optional<double> latency_budget_ms;
  std::optional<double> energy_budget_j;
  std::optional<double> min_quality;
  std::string objective;
  std::string experts;
  std::string application_class;
  double timeout_s = 30;
};

void AddClientOptions(CLI::App& command, ClientOptions& options);
// Those of them that say how a server is known, and we to it.
void AddTlsOptions(CLI::App& command, ClientOptions& options);
// For commands that a router answers as well as a gateway does.
void AddRouterOption(CLI::App& command, ClientOptions& options);
void AddRequestOptions(CLI::App& command, RequestOptions& options);

// The pool's contract, as the target tells it.
absl::StatusOr<inference::ModelMetadataResponse> FetchMetadata(PoolClient& client,
                                                               const std::string& pool);
// The request that the options describe. INVALID_ARGUMENT names the option.
absl::StatusOr<InferRequest> BuildRequest(const RequestOptions& options,
                                          const inference::ModelMetadataResponse& metadata);

// Up to `most` elements of a tensor, as JSON would write them.
std::string ShowValues(const Tensor& tensor, size_t most);
std::string ShowParameter(const ParameterValue& value);

}  // namespace penstock::cli
