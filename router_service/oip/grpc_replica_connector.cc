#include "router_service/oip/grpc_replica_connector.h"

#include <utility>

#include "common/net/oip/oip_control_client.h"
#include "common/status_macros.h"
#include "penstock/v1/expert_control.pb.h"

namespace penstock::router {
namespace {

using DescribeDone = absl::AnyInvocable<void(absl::StatusOr<ReplicaFacts>)>;

// Three questions to a replica, asked at once.
class FactsCall : public std::enable_shared_from_this<FactsCall> {
 public:
  FactsCall(RpcClient rpc, DescribeDone done)
      : rpc_(std::move(rpc)), client_(rpc_), done_(std::move(done)) {}

  void Start(const std::string& model, const std::string& version, absl::Duration timeout) {
    CallOptions options;
    options.deadline = absl::Now() + timeout;
    inference::ModelMetadataRequest metadata;
    metadata.set_name(model);
    metadata.set_version(version);
    client_.ModelMetadata(metadata, options, [self = shared_from_this()](auto response) {
      self->Answered([&](ReplicaFacts& facts, absl::Status& status) {
        if (response.ok()) {
          facts.metadata = *std::move(response);
        } else {
          status = response.status();
        }
      });
    });
    inference::ModelConfigRequest config;
    config.set_name(model);
    config.set_version(version);
    client_.ModelConfig(config, options, [self = shared_from_this()](auto response) {
      self->Answered([&](ReplicaFacts& facts, absl::Status& status) {
        // Not all servers have the RPC: ModelMetadata alone decides then.
        if (response.ok()) {
          facts.config = std::move(*response->mutable_config());
        } else if (absl::IsUnavailable(response.status())) {
          status = response.status();
        }
      });
    });
    v1::DescribeRequest describe;
    describe.set_model(model);
    rpc_.Call<v1::DescribeResponse>(
        "/penstock.v1.ExpertControl/Describe", describe, options,
        [self = shared_from_this(), model](absl::StatusOr<v1::DescribeResponse> response) {
          self->Answered([&](ReplicaFacts& facts, absl::Status&) {
            if (!response.ok()) return;
            facts.idle_watts = response->idle_watts();
            for (const v1::ModelDescription& described : response->models()) {
              if (described.name() == model) facts.description = described;
            }
          });
        });
  }

 private:
  template <typename Take>
  void Answered(const Take& take) {
    DescribeDone done;
    absl::StatusOr<ReplicaFacts> facts = absl::UnknownError("open");
    {
      MutexLock lock(mutex_);
      take(facts_, status_);
      if (--open_ > 0) return;
      done = std::move(done_);
      if (status_.ok()) {
        facts = std::move(facts_);
      } else {
        facts = status_;
      }
    }
    done(std::move(facts));
  }

  const RpcClient rpc_;
  OipControlClient client_;
  Mutex mutex_;
  int open_ ABSL_GUARDED_BY(mutex_) = 3;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  ReplicaFacts facts_ ABSL_GUARDED_BY(mutex_);
  DescribeDone done_ ABSL_GUARDED_BY(mutex_);
};

class GrpcReplicaConnection final : public ReplicaConnection {
 public:
  explicit GrpcReplicaConnection(std::shared_ptr<GrpcInferTarget> target)
      : target_(std::move(target)) {}

  InferTarget& target() override { return *target_; }

  void Describe(const std::string& model, const std::string& version, absl::Duration timeout,
                DescribeDone done) override {
    std::make_shared<FactsCall>(target_->rpc(), std::move(done))->Start(model, version, timeout);
  }

 private:
  const std::shared_ptr<GrpcInferTarget> target_;
};

}  // namespace

GrpcReplicaConnector::GrpcReplicaConnector(ClientQueues& queues, uint64_t max_message_bytes,
                                           std::shared_ptr<grpc::Channel> in_process_expert)
    : queues_(queues),
      max_message_bytes_(max_message_bytes),
      in_process_expert_(std::move(in_process_expert)) {}

absl::StatusOr<std::shared_ptr<ReplicaConnection>> GrpcReplicaConnector::Connect(
    const config::v1::Endpoint& endpoint) {
  MutexLock lock(mutex_);
  std::shared_ptr<ReplicaConnection>& connection = connections_[endpoint.SerializeAsString()];
  if (connection != nullptr) return connection;
  InferTargetOptions options;
  options.max_message_bytes = max_message_bytes_;
  std::shared_ptr<GrpcInferTarget> target;
  if (endpoint.address() == kInProcessExpert) {
    if (in_process_expert_ == nullptr) {
      return absl::InvalidArgumentError(
          "address inprocess:expert: no expert service runs in this process");
    }
    target = GrpcInferTarget::Over(in_process_expert_, endpoint.address(), queues_,
                                   std::move(options));
  } else {
    PENSTOCK_ASSIGN_OR_RETURN(target,
                              GrpcInferTarget::Create(endpoint, queues_, std::move(options)));
  }
  connection = std::make_shared<GrpcReplicaConnection>(std::move(target));
  return connection;
}

}  // namespace penstock::router
