#include "common/net/oip/oip_control.h"

#include "inference/grpc_service.pb.h"

namespace penstock {

void OipControl::ServerLive(const ControlContext& /*context*/,
                            const inference::ServerLiveRequest& /*request*/,
                            inference::ServerLiveResponse& response, ControlDone done) {
  response.set_live(true);
  done(absl::OkStatus());
}

void OipControl::RepositoryModelLoad(const ControlContext& /*context*/,
                                     const inference::RepositoryModelLoadRequest& /*request*/,
                                     inference::RepositoryModelLoadResponse& /*response*/,
                                     ControlDone done) {
  done(absl::UnimplementedError("models are loaded by the services that serve them"));
}

void OipControl::RepositoryModelUnload(const ControlContext& /*context*/,
                                       const inference::RepositoryModelUnloadRequest& /*request*/,
                                       inference::RepositoryModelUnloadResponse& /*response*/,
                                       ControlDone done) {
  done(absl::UnimplementedError("models are unloaded by the services that serve them"));
}

}  // namespace penstock
