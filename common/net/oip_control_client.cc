#include "common/net/oip_control_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <utility>

#include "common/net/callback_threads.h"
#include "common/net/grpc_metadata.h"
#include "common/net/grpc_status.h"
#include "inference/grpc_service.grpc.pb.h"

namespace penstock {

struct OipControlClient::State {
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub;
};

namespace {

using Async = inference::GRPCInferenceService::StubInterface::async_interface;

template <typename Request, typename Response>
void Call(inference::GRPCInferenceService::Stub& stub,
          void (Async::*method)(grpc::ClientContext*, const Request*, Response*,
                                std::function<void(grpc::Status)>),
          const Request& request, const CallOptions& options, ControlReply<Response> done) {
  struct Pending {
    grpc::ClientContext context;
    Request request;
    Response response;
    ControlReply<Response> done;
  };
  auto pending = std::make_shared<Pending>();
  pending->request = request;
  pending->done = std::move(done);
  if (options.deadline != absl::InfiniteFuture()) {
    pending->context.set_deadline(absl::ToChronoTime(options.deadline));
  }
  ForSendable(options.metadata, [&](const std::string& key, const std::string& value) {
    pending->context.AddMetadata(key, value);
  });
  Pending& p = *pending;
  (stub.async()->*method)(&p.context, &p.request, &p.response,
                          [pending = std::move(pending)](const grpc::Status& status) {
                            if (status.ok()) {
                              pending->done(std::move(pending->response));
                            } else {
                              pending->done(FromGrpcStatus(status));
                            }
                          });
}

}  // namespace

OipControlClient::OipControlClient(std::shared_ptr<grpc::Channel> channel)
    : state_(std::make_unique<State>(
          State{inference::GRPCInferenceService::NewStub(std::move(channel))})) {
  KeepCallbackThreads();
}

OipControlClient::~OipControlClient() = default;

void OipControlClient::ServerLive(CallOptions options,
                                  ControlReply<inference::ServerLiveResponse> done) {
  Call(*state_->stub, &Async::ServerLive, inference::ServerLiveRequest(), options,
       std::move(done));
}

void OipControlClient::ServerReady(CallOptions options,
                                   ControlReply<inference::ServerReadyResponse> done) {
  Call(*state_->stub, &Async::ServerReady, inference::ServerReadyRequest(), options,
       std::move(done));
}

void OipControlClient::ServerMetadata(CallOptions options,
                                      ControlReply<inference::ServerMetadataResponse> done) {
  Call(*state_->stub, &Async::ServerMetadata, inference::ServerMetadataRequest(), options,
       std::move(done));
}

#define PENSTOCK_CONTROL_CALL(Rpc)                                                      \
  void OipControlClient::Rpc(const inference::Rpc##Request& request, CallOptions options, \
                             ControlReply<inference::Rpc##Response> done) {             \
    Call(*state_->stub, &Async::Rpc, request, options, std::move(done));                \
  }

PENSTOCK_CONTROL_CALL(ModelReady)
PENSTOCK_CONTROL_CALL(ModelMetadata)
PENSTOCK_CONTROL_CALL(ModelConfig)
PENSTOCK_CONTROL_CALL(ModelStatistics)
PENSTOCK_CONTROL_CALL(RepositoryIndex)

#undef PENSTOCK_CONTROL_CALL

}  // namespace penstock
