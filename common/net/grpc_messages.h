#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

// For .cc files: includes gRPC.

namespace penstock {

// INTERNAL, as gRPC has it for what is no message of the type. Empties `buffer`.
grpc::Status ParseMessage(grpc::ByteBuffer& buffer, google::protobuf::Message& message);
grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message);
// What a unary client that sends nothing is told.
grpc::Status NoRequest();

}  // namespace penstock
