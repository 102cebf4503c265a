#include "common/net/oip/oip_service.h"

#include <utility>

#include "common/net/oip/infer_stream.h"
#include "inference/grpc_service.pb.h"

namespace penstock {

OipService::OipService(OipCore& core)
    : model_infer_(AddRawUnary("/inference.GRPCInferenceService/ModelInfer")) {
  AddMethod("/inference.GRPCInferenceService/ModelStreamInfer",
            [&core](std::unique_ptr<RpcArrival> arrival) {
              InferStream::Open(core, std::move(arrival));
            });

#define PENSTOCK_CONTROL_RPC(Rpc)                                                  \
  AddUnary<inference::Rpc##Request, inference::Rpc##Response>(                     \
      "/inference.GRPCInferenceService/" #Rpc,                                     \
      [&core](const ControlContext& context, const inference::Rpc##Request& request, \
              inference::Rpc##Response& response, ControlDone done) {              \
        core.control->Rpc(context, request, response, std::move(done));            \
      });

  PENSTOCK_CONTROL_RPC(ServerLive)
  PENSTOCK_CONTROL_RPC(ServerReady)
  PENSTOCK_CONTROL_RPC(ModelReady)
  PENSTOCK_CONTROL_RPC(ServerMetadata)
  PENSTOCK_CONTROL_RPC(ModelMetadata)
  PENSTOCK_CONTROL_RPC(ModelConfig)
  PENSTOCK_CONTROL_RPC(ModelStatistics)
  PENSTOCK_CONTROL_RPC(RepositoryIndex)
  PENSTOCK_CONTROL_RPC(RepositoryModelLoad)
  PENSTOCK_CONTROL_RPC(RepositoryModelUnload)

#undef PENSTOCK_CONTROL_RPC
}

}  // namespace penstock
