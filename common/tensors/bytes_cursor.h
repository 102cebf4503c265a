#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "common/bytes.h"

namespace penstock {

// Reads a Bytes from front to back. Whole walks cost the number of pieces once, however many slices
// are taken on the way, so that a message of many tensors in many pieces stays linear. The Bytes
// must outlive the cursor.
class BytesCursor {
 public:
  explicit BytesCursor(const Bytes& bytes) : bytes_(bytes), remaining_(bytes.size()) { Settle(); }

  size_t offset() const { return bytes_.size() - remaining_; }
  size_t remaining() const { return remaining_; }

  // All of these: at most remaining() bytes.
  uint8_t ReadByte() {
    const uint8_t byte = static_cast<uint8_t>(run_.front());
    Skip(1);
    return byte;
  }
  void Skip(size_t size) {
    remaining_ -= size;
    while (size > 0 && size >= run_.size()) {
      size -= run_.size();
      NextPiece();
    }
    run_.remove_prefix(size);
  }
  void Read(void* out, size_t size);
  std::string ReadString(size_t size);
  // Shares the bytes.
  Bytes ReadSlice(size_t size);

  // The bytes ahead that lie in one run; empty only at the end.
  absl::string_view run() const { return run_; }

 private:
  void NextPiece() {
    ++piece_;
    Settle();
  }
  void Settle() {
    run_ = piece_ < bytes_.pieces().size() ? bytes_.pieces()[piece_].data : absl::string_view();
  }

  const Bytes& bytes_;
  size_t piece_ = 0;
  size_t remaining_;
  absl::string_view run_;  // the unread rest of the piece
};

}  // namespace penstock
