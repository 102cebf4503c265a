#include "router_service/oip/grpc_replica_connector.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/endpoint_names.h"
#include "common/net/oip/oip_control_client.h"
#include "common/status_macros.h"
#include "penstock/v1/expert_control.pb.h"
#include "router_service/oip/load_subscription.h"

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
        [self = shared_from_this(), model, version](absl::StatusOr<v1::DescribeResponse> response) {
          self->Answered([&](ReplicaFacts& facts, absl::Status&) {
            facts.described = response.status();
            if (!response.ok()) return;
            facts.idle_watts = response->idle_watts();
            for (const v1::ModelDescription& described : response->models()) {
              // Without a version the largest is served, which comes last.
              if (described.name() == model && (version.empty() || described.version() == version)) {
                facts.description = described;
              }
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
      : target_(std::move(target)),
        loads_(std::make_shared<LoadSubscription>(target_->rpc())) {}
  ~GrpcReplicaConnection() override { loads_->Stop(); }

  InferTarget& target() override { return *target_; }

  void Describe(const std::string& model, const std::string& version, absl::Duration timeout,
                DescribeDone done) override {
    std::make_shared<FactsCall>(target_->rpc(), std::move(done))->Start(model, version, timeout);
  }

  void Probe(const std::string& model, const std::string& version, absl::Duration timeout,
             absl::AnyInvocable<void(absl::Status)> done) override {
    inference::ModelReadyRequest request;
    request.set_name(model);
    request.set_version(version);
    CallOptions options;
    options.deadline = absl::Now() + timeout;
    target_->rpc().Call<inference::ModelReadyResponse>(
        "/inference.GRPCInferenceService/ModelReady", request, options,
        [done = std::move(done)](absl::StatusOr<inference::ModelReadyResponse> response) mutable {
          if (response.ok() && !response->ready()) {
            done(absl::UnavailableError("the model is not ready"));
          } else {
            // Not all servers have the RPC; one that says so answers.
            done(absl::IsUnimplemented(response.status()) ? absl::OkStatus() : response.status());
          }
        });
  }

  void WatchLoad(std::weak_ptr<const void> listener, LoadSubscription::Sink sink) override {
    loads_->Add(std::move(listener), std::move(sink));
  }

 private:
  const std::shared_ptr<GrpcInferTarget> target_;
  const std::shared_ptr<LoadSubscription> loads_;
};

}  // namespace

GrpcReplicaConnector::GrpcReplicaConnector(ClientQueues& queues, uint64_t max_message_bytes,
                                           std::shared_ptr<grpc::Channel> in_process_expert)
    : queues_(queues),
      max_message_bytes_(max_message_bytes),
      in_process_expert_(std::move(in_process_expert)) {}

absl::StatusOr<std::shared_ptr<ReplicaConnection>> GrpcReplicaConnector::Connect(
    const config::v1::Endpoint& endpoint) {
  return Share(endpoint, "");
}

absl::StatusOr<std::shared_ptr<ReplicaConnection>> GrpcReplicaConnector::ConnectTo(
    const config::v1::Endpoint& endpoint, const std::string& address) {
  config::v1::Endpoint one = endpoint;
  one.set_address(address);
  return Share(one, EndpointNames::HostOf(endpoint.address()));
}

absl::StatusOr<std::shared_ptr<ReplicaConnection>> GrpcReplicaConnector::Share(
    const config::v1::Endpoint& endpoint, const std::string& server_name) {
  MutexLock lock(mutex_);
  const std::string name = absl::StrCat(endpoint.SerializeAsString(), "/", server_name);
  if (const auto known = connections_.find(name); known != connections_.end()) {
    if (auto connection = known->second.lock()) return connection;
  }
  InferTargetOptions options;
  options.max_message_bytes = max_message_bytes_;
  options.server_name = server_name;
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
  const std::shared_ptr<ReplicaConnection> connection =
      std::make_shared<GrpcReplicaConnection>(std::move(target));
  for (auto it = connections_.begin(); it != connections_.end();) {
    it = it->second.expired() ? connections_.erase(it) : std::next(it);
  }
  connections_[name] = connection;
  return connection;
}

}  // namespace penstock::router
