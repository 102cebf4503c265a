#include "common/bytes.h"

#include <algorithm>
#include <cstring>

namespace penstock {

Bytes::Bytes(std::string data) {
  auto owner = std::make_shared<const std::string>(std::move(data));
  const absl::string_view view(owner->data(), owner->size());
  Append(Piece{view, std::move(owner)});
}

Bytes Bytes::Static(absl::string_view data) {
  Bytes bytes;
  bytes.Append(Piece{data, nullptr});
  return bytes;
}

void Bytes::Append(Piece piece) {
  if (piece.data.empty()) return;
  size_ += piece.data.size();
  pieces_.push_back(std::move(piece));
}

void Bytes::Append(const Bytes& other) {
  for (const Piece& piece : other.pieces_) pieces_.push_back(piece);
  size_ += other.size_;
}

Bytes Bytes::Slice(size_t offset, size_t size) const {
  Bytes slice;
  for (const Piece& piece : pieces_) {
    if (size == 0) break;
    if (offset >= piece.data.size()) {
      offset -= piece.data.size();
      continue;
    }
    const absl::string_view part = piece.data.substr(offset, size);
    slice.Append(Piece{part, piece.owner});
    size -= part.size();
    offset = 0;
  }
  return slice;
}

absl::string_view Bytes::Flat(std::string& storage) const {
  if (pieces_.empty()) return {};
  if (pieces_.size() == 1) return pieces_[0].data;
  storage = ToString();
  return storage;
}

Bytes Bytes::Flattened() const { return pieces_.size() <= 1 ? *this : Bytes(ToString()); }

std::string Bytes::ToString() const {
  std::string out(size_, '\0');
  CopyTo(out.data());
  return out;
}

void Bytes::CopyTo(void* out) const {
  char* to = static_cast<char*>(out);
  for (const Piece& piece : pieces_) {
    std::memcpy(to, piece.data.data(), piece.data.size());
    to += piece.data.size();
  }
}

bool operator==(const Bytes& a, const Bytes& b) {
  if (a.size() != b.size()) return false;
  std::string a_storage, b_storage;
  return a.Flat(a_storage) == b.Flat(b_storage);
}

}  // namespace penstock
