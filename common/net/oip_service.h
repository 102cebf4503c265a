#pragma once

#include <memory>

#include "common/net/oip_core.h"
#include "inference/grpc_service.grpc.pb.h"

// For the .cc files of this folder: includes gRPC.

namespace penstock {

// What each RPC is served by. RPCs that nothing implements are callback methods too: one method of the
// synchronous API would cost the server a thread pool.
template <class Base>
using UnservedRpcs =
    inference::GRPCInferenceService::WithCallbackMethod_RepositoryModelLoad<
    inference::GRPCInferenceService::WithCallbackMethod_RepositoryModelUnload<
    inference::GRPCInferenceService::WithCallbackMethod_SystemSharedMemoryStatus<
    inference::GRPCInferenceService::WithCallbackMethod_SystemSharedMemoryRegister<
    inference::GRPCInferenceService::WithCallbackMethod_SystemSharedMemoryUnregister<
    inference::GRPCInferenceService::WithCallbackMethod_CudaSharedMemoryStatus<
    inference::GRPCInferenceService::WithCallbackMethod_CudaSharedMemoryRegister<
    inference::GRPCInferenceService::WithCallbackMethod_CudaSharedMemoryUnregister<
    inference::GRPCInferenceService::WithCallbackMethod_TraceSetting<
    inference::GRPCInferenceService::WithCallbackMethod_LogSettings<Base>>>>>>>>>>;
template <class Base>
using ControlRpcs =
    inference::GRPCInferenceService::WithCallbackMethod_ServerLive<
    inference::GRPCInferenceService::WithCallbackMethod_ServerReady<
    inference::GRPCInferenceService::WithCallbackMethod_ModelReady<
    inference::GRPCInferenceService::WithCallbackMethod_ServerMetadata<
    inference::GRPCInferenceService::WithCallbackMethod_ModelMetadata<
    inference::GRPCInferenceService::WithCallbackMethod_ModelConfig<
    inference::GRPCInferenceService::WithCallbackMethod_ModelStatistics<
    inference::GRPCInferenceService::WithCallbackMethod_RepositoryIndex<Base>>>>>>>>;
using OipServiceBase = inference::GRPCInferenceService::WithRawMethod_ModelInfer<
    inference::GRPCInferenceService::WithRawCallbackMethod_ModelStreamInfer<
        ControlRpcs<UnservedRpcs<inference::GRPCInferenceService::Service>>>>;

class OipService final : public OipServiceBase {
 public:
  explicit OipService(OipCore& core) : core_(core) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ModelStreamInfer(
      grpc::CallbackServerContext* context) override;

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext* context,
                                       const inference::ServerLiveRequest* request,
                                       inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ServerReady(grpc::CallbackServerContext* context,
                                        const inference::ServerReadyRequest* request,
                                        inference::ServerReadyResponse* response) override;
  grpc::ServerUnaryReactor* ModelReady(grpc::CallbackServerContext* context,
                                       const inference::ModelReadyRequest* request,
                                       inference::ModelReadyResponse* response) override;
  grpc::ServerUnaryReactor* ServerMetadata(grpc::CallbackServerContext* context,
                                           const inference::ServerMetadataRequest* request,
                                           inference::ServerMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* context,
                                          const inference::ModelMetadataRequest* request,
                                          inference::ModelMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelConfig(grpc::CallbackServerContext* context,
                                        const inference::ModelConfigRequest* request,
                                        inference::ModelConfigResponse* response) override;
  grpc::ServerUnaryReactor* ModelStatistics(grpc::CallbackServerContext* context,
                                            const inference::ModelStatisticsRequest* request,
                                            inference::ModelStatisticsResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryIndex(grpc::CallbackServerContext* context,
                                            const inference::RepositoryIndexRequest* request,
                                            inference::RepositoryIndexResponse* response) override;

 private:
  OipCore& core_;
};

}  // namespace penstock
