#include "common/tensors/bytes_cursor.h"

#include <algorithm>
#include <cstring>

namespace penstock {

void BytesCursor::Read(void* out, size_t size) {
  char* to = static_cast<char*>(out);
  while (size > 0) {
    const size_t part = std::min(size, run_.size());
    std::memcpy(to, run_.data(), part);
    to += part;
    size -= part;
    Skip(part);
  }
}

std::string BytesCursor::ReadString(size_t size) {
  std::string out(size, '\0');
  Read(out.data(), size);
  return out;
}

Bytes BytesCursor::ReadSlice(size_t size) {
  Bytes slice;
  while (size > 0) {
    const absl::string_view part = run_.substr(0, size);
    slice.Append(Bytes::Piece{part, bytes_.pieces()[piece_].owner});
    size -= part.size();
    Skip(part.size());
  }
  return slice;
}

}  // namespace penstock
