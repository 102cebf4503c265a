#include "common/net/oip/oip_control_client.h"

#include <utility>

namespace penstock {

void OipControlClient::ServerLive(CallOptions options,
                                  ControlReply<inference::ServerLiveResponse> done) {
  rpc_.Call<inference::ServerLiveResponse>("/inference.GRPCInferenceService/ServerLive",
                                           inference::ServerLiveRequest(), options,
                                           std::move(done));
}

void OipControlClient::ServerReady(CallOptions options,
                                   ControlReply<inference::ServerReadyResponse> done) {
  rpc_.Call<inference::ServerReadyResponse>("/inference.GRPCInferenceService/ServerReady",
                                            inference::ServerReadyRequest(), options,
                                            std::move(done));
}

void OipControlClient::ServerMetadata(CallOptions options,
                                      ControlReply<inference::ServerMetadataResponse> done) {
  rpc_.Call<inference::ServerMetadataResponse>("/inference.GRPCInferenceService/ServerMetadata",
                                               inference::ServerMetadataRequest(), options,
                                               std::move(done));
}

#define PENSTOCK_CONTROL_CALL(Rpc)                                                        \
  void OipControlClient::Rpc(const inference::Rpc##Request& request, CallOptions options, \
                             ControlReply<inference::Rpc##Response> done) {               \
    rpc_.Call<inference::Rpc##Response>("/inference.GRPCInferenceService/" #Rpc, request,  \
                                        options, std::move(done));                        \
  }

PENSTOCK_CONTROL_CALL(ModelReady)
PENSTOCK_CONTROL_CALL(ModelMetadata)
PENSTOCK_CONTROL_CALL(ModelConfig)
PENSTOCK_CONTROL_CALL(ModelStatistics)
PENSTOCK_CONTROL_CALL(RepositoryIndex)

#undef PENSTOCK_CONTROL_CALL

}  // namespace penstock
