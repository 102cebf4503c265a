#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"

namespace penstock {

// An immutable byte string in pieces that are shared, not copied: a message as it came off the wire,
// a tensor inside it, a message put together from parts of others. Copying shares; thread-safe to
// read. Free of gRPC types: common/net converts to and from gRPC's buffers without copying.
class Bytes {
 public:
  struct Piece {
    absl::string_view data;
    std::shared_ptr<const void> owner;  // keeps `data` alive; null for static data
  };

  Bytes() = default;
  // Takes the string over.
  explicit Bytes(std::string data);
  // Data that outlives every copy.
  static Bytes Static(absl::string_view data);

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const absl::InlinedVector<Piece, 2>& pieces() const { return pieces_; }

  void Append(Piece piece);
  void Append(const Bytes& other);
  void Append(std::string data) { Append(Bytes(std::move(data))); }
  // Bytes [offset, offset + size); must lie within.
  Bytes Slice(size_t offset, size_t size) const;

  // The bytes in one run: no copy where they are in one piece already, else copied into `storage`.
  absl::string_view Flat(std::string& storage) const;
  // A Bytes of at most one piece; copies only if there are more.
  Bytes Flattened() const;
  std::string ToString() const;
  void CopyTo(void* out) const;

  friend bool operator==(const Bytes& a, const Bytes& b);

 private:
  absl::InlinedVector<Piece, 2> pieces_;
  size_t size_ = 0;
};

}  // namespace penstock
