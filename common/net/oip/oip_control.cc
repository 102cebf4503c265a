#include "common/net/oip/oip_control.h"

#include "inference/grpc_service.pb.h"

namespace penstock {

void OipControl::ServerLive(const ControlContext& /*context*/,
                            const inference::ServerLiveRequest& /*request*/,
                            inference::ServerLiveResponse& response, ControlDone done) {
  response.set_live(true);
  done(absl::OkStatus());
}

}  // namespace penstock
