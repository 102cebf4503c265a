#include "common/net/grpc_bytes.h"

#include <grpc/slice.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "common/net/rpc/grpc_handoff.h"

namespace penstock {
namespace {

// Below this, copying a run costs less than the two allocations of a shared slice.
constexpr size_t kShareFrom = 512;

using Owner = std::shared_ptr<const void>;

void ReleaseOwner(void* owner) {
  TakeFromGrpc(owner);
  delete static_cast<Owner*>(owner);
}

Bytes::Piece PieceOf(grpc::Slice slice) {
  auto owner = std::make_shared<const grpc::Slice>(std::move(slice));
  const absl::string_view data(reinterpret_cast<const char*>(owner->begin()), owner->size());
  return Bytes::Piece{data, std::move(owner)};
}

grpc::Slice SharedSlice(const Bytes::Piece& piece) {
  if (piece.owner == nullptr) {
    return grpc::Slice(piece.data.data(), piece.data.size(), grpc::Slice::STATIC_SLICE);
  }
  auto* const owner = new Owner(piece.owner);
  HandToGrpc(owner);
  // gRPC does not write through the pointer.
  return grpc::Slice(const_cast<char*>(piece.data.data()), piece.data.size(), &ReleaseOwner, owner);
}

}  // namespace

Bytes FromByteBuffer(const grpc::ByteBuffer& buffer) {
  Bytes bytes;
  if (!buffer.Valid()) return bytes;
  grpc::Slice single;
  if (buffer.TrySingleSlice(&single).ok()) {
    bytes.Append(PieceOf(std::move(single)));
    return bytes;
  }
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (grpc::Slice& slice : slices) bytes.Append(PieceOf(std::move(slice)));
  return bytes;
}

grpc::ByteBuffer ToByteBuffer(const Bytes& bytes) {
  absl::InlinedVector<grpc::Slice, 4> slices;
  std::string run;  // small neighbours, gathered
  const auto flush = [&] {
    if (run.empty()) return;
    slices.emplace_back(run.data(), run.size());
    run.clear();
  };
  const auto& pieces = bytes.pieces();
  if (pieces.size() == 1 && pieces[0].data.size() < kShareFrom) {
    slices.emplace_back(pieces[0].data.data(), pieces[0].data.size());
  } else {
    for (const Bytes::Piece& piece : pieces) {
      if (piece.data.size() < kShareFrom) {
        run.append(piece.data.data(), piece.data.size());
        continue;
      }
      flush();
      slices.push_back(SharedSlice(piece));
    }
    flush();
  }
  // A buffer of no slices is an empty message; one without storage is no message.
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace penstock
