#include "router_service/oip/grpc_replica_connector.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>

#include "common/net/rpc/client_queues.h"
#include "common/notification.h"
#include "inference/grpc_service.grpc.pb.h"
#include "penstock/v1/expert_control.grpc.pb.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using absl::StatusCode;

// Knows its model; says of itself what it is told to.
class Metadata final : public inference::GRPCInferenceService::Service {
  grpc::Status ModelMetadata(grpc::ServerContext*, const inference::ModelMetadataRequest* request,
                             inference::ModelMetadataResponse* response) override {
    response->set_name(request->name());
    return grpc::Status::OK;
  }
};

class Descriptions final : public v1::ExpertControl::Service {
 public:
  explicit Descriptions(grpc::Status says) : says_(std::move(says)) {}
  grpc::Status Describe(grpc::ServerContext*, const v1::DescribeRequest* request,
                        v1::DescribeResponse* response) override {
    response->add_models()->set_name(request->model());
    return says_;
  }

 private:
  const grpc::Status says_;
};

// What a server says of "small"; null: it describes nothing.
absl::StatusOr<ReplicaFacts> Ask(Descriptions* descriptions) {
  Metadata metadata;
  grpc::ServerBuilder builder;
  builder.RegisterService(&metadata);
  if (descriptions != nullptr) builder.RegisterService(descriptions);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  absl::StatusOr<ReplicaFacts> facts = absl::UnknownError("did not end");
  {
    ClientQueues queues(1);
    GrpcReplicaConnector connector(queues, 1 << 20,
                                   server->InProcessChannel(grpc::ChannelArguments()));
    config::v1::Endpoint endpoint;
    endpoint.set_address(kInProcessExpert);
    const auto connection = connector.Connect(endpoint);
    if (!connection.ok()) return connection.status();
    Notification done;
    (*connection)->Describe("small", "", absl::Seconds(30), [&](auto said) {
      facts = std::move(said);
      done.Notify();
    });
    done.Wait();
  }
  server->Shutdown();
  return facts;
}

TEST(GrpcReplicaConnectorTest, SaysHowADescriptionFailed) {
  Descriptions busy(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "busy"));
  const auto facts = Ask(&busy);
  ASSERT_THAT(facts, IsOk());
  EXPECT_EQ(facts->metadata.name(), "small");
  EXPECT_FALSE(facts->description.has_value());
  EXPECT_THAT(facts->described, StatusIs(StatusCode::kResourceExhausted));
}

TEST(GrpcReplicaConnectorTest, KnowsADescriptionFromNone) {
  Descriptions all(grpc::Status::OK);
  const auto described = Ask(&all);
  ASSERT_THAT(described, IsOk());
  EXPECT_THAT(described->described, IsOk());
  EXPECT_TRUE(described->description.has_value());
  const auto of_others = Ask(nullptr);
  ASSERT_THAT(of_others, IsOk());
  EXPECT_THAT(of_others->described, StatusIs(StatusCode::kUnimplemented));
}

}  // namespace
}  // namespace penstock::router
