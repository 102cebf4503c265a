#pragma once

#include <grpcpp/support/async_unary_call.h>

#include "common/net/oip/oip_core.h"
#include "common/net/rpc/rpc_service.h"

// For the .cc files of this folder: includes gRPC.

namespace penstock {

// inference.GRPCInferenceService: ModelInfer waits as UnaryCall asks, ModelStreamInfer is an
// InferStream, and the rest is the OipControl's.
class OipService final : public RpcService {
 public:
  explicit OipService(OipCore& core);

  void RequestModelInfer(grpc::ServerContext* context, grpc::ByteBuffer* request,
                         grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>* writer,
                         grpc::ServerCompletionQueue* queue, void* tag) {
    RequestAsyncUnary(model_infer_, context, request, writer, queue, queue, tag);
  }

 private:
  const int model_infer_;
};

}  // namespace penstock
