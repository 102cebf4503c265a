#pragma once

#include "common/bytes.h"

namespace grpc {
class ByteBuffer;
}  // namespace grpc

namespace penstock {

// Between our bytes and gRPC's buffers without copying: pieces share the slices' references and the
// other way round. Runs below 512 bytes are copied, which is cheaper than sharing them.
Bytes FromByteBuffer(const grpc::ByteBuffer& buffer);
grpc::ByteBuffer ToByteBuffer(const Bytes& bytes);

}  // namespace penstock
