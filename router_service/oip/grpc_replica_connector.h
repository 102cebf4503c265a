#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/mutex.h"
#include "common/net/oip/grpc_infer_target.h"
#include "common/net/rpc/client_queues.h"
#include "router_service/pools/replica_connector.h"

namespace penstock::router {

// Connections over gRPC. Experts that name the same endpoint share one, which ends with the last of
// them. Thread-safe.
class GrpcReplicaConnector final : public ReplicaConnector {
 public:
  // `in_process_expert` is what the address "inprocess:expert" means; null where no expert service
  // runs in this process.
  GrpcReplicaConnector(ClientQueues& queues, uint64_t max_message_bytes,
                       std::shared_ptr<grpc::Channel> in_process_expert);

  absl::StatusOr<std::shared_ptr<ReplicaConnection>> Connect(
      const config::v1::Endpoint& endpoint) override;
  absl::StatusOr<std::shared_ptr<ReplicaConnection>> ConnectTo(
      const config::v1::Endpoint& endpoint, const std::string& address) override;

 private:
  absl::StatusOr<std::shared_ptr<ReplicaConnection>> Share(const config::v1::Endpoint& endpoint,
                                                           const std::string& server_name);

  ClientQueues& queues_;
  const uint64_t max_message_bytes_;
  const std::shared_ptr<grpc::Channel> in_process_expert_;
  Mutex mutex_;
  std::map<std::string, std::weak_ptr<ReplicaConnection>> connections_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
