#include "common/net/grpc_messages.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <string>

namespace penstock {

grpc::Status ParseMessage(grpc::ByteBuffer& buffer, google::protobuf::Message& message) {
  bool parsed = false;
  {
    grpc::ProtoBufferReader reader(&buffer);
    parsed = reader.status().ok() && message.ParseFromZeroCopyStream(&reader);
  }
  buffer.Clear();
  if (parsed) return grpc::Status();
  return grpc::Status(grpc::StatusCode::INTERNAL,
                      "the request is not a " + message.GetDescriptor()->full_name());
}

grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message) {
  grpc::Slice slice(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

grpc::Status NoRequest() {
  return grpc::Status(grpc::StatusCode::INTERNAL, "the client sent no request");
}

}  // namespace penstock
