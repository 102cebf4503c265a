#include "common/net/oip_service.h"

#include "common/net/control_call.h"
#include "common/net/infer_stream.h"

namespace penstock {

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* OipService::ModelStreamInfer(
    grpc::CallbackServerContext* context) {
  return InferStream::Open(core_, *context).get();  // owns itself until OnDone
}

#define PENSTOCK_CONTROL_RPC(Rpc)                                                             \
  grpc::ServerUnaryReactor* OipService::Rpc(grpc::CallbackServerContext* context,             \
                                            const inference::Rpc##Request* request,           \
                                            inference::Rpc##Response* response) {             \
    return ControlCall<inference::Rpc##Request, inference::Rpc##Response>::Serve(             \
        core_, &OipControl::Rpc, *context, *request, *response);                              \
  }

PENSTOCK_CONTROL_RPC(ServerLive)
PENSTOCK_CONTROL_RPC(ServerReady)
PENSTOCK_CONTROL_RPC(ModelReady)
PENSTOCK_CONTROL_RPC(ServerMetadata)
PENSTOCK_CONTROL_RPC(ModelMetadata)
PENSTOCK_CONTROL_RPC(ModelConfig)
PENSTOCK_CONTROL_RPC(ModelStatistics)
PENSTOCK_CONTROL_RPC(RepositoryIndex)

#undef PENSTOCK_CONTROL_RPC

}  // namespace penstock
