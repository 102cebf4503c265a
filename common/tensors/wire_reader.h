#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/tensors/bytes_cursor.h"

namespace penstock {

// Protobuf's wire format over a Bytes, value by value; accepts and refuses what protobuf's C++
// parser does. A method that returns false has found bytes that do not parse: error() says what and
// where, and the reader is of no further use.
class WireReader {
 public:
  enum WireType : uint32_t {
    kVarint = 0,
    kFixed64 = 1,
    kLength = 2,
    kGroup = 3,
    kEndGroup = 4,
    kFixed32 = 5
  };
  static constexpr uint32_t Tag(uint32_t field, WireType type) { return field << 3 | type; }

  explicit WireReader(const Bytes& message) : cursor_(message), limit_(message.size()) {}

  size_t offset() const { return cursor_.offset(); }
  bool AtLimit() const { return offset() == limit_; }

  // Reads a length and makes its end the limit until LeaveMessage, which must find the reader
  // there.
  bool EnterMessage();
  void LeaveMessage(size_t outer_limit) { limit_ = outer_limit, ++depth_; }
  size_t limit() const { return limit_; }
  void SetLimit(size_t limit) { limit_ = limit; }

  bool ReadTag(uint32_t& tag);
  bool ReadVarint(uint64_t& value);
  bool ReadLength(size_t& size);
  bool ReadString(std::string& value);        // must be UTF-8
  bool ReadSlice(size_t size, Bytes& value);  // shares the bytes
  bool ReadFixed32(uint32_t& value);
  bool ReadFixed64(uint64_t& value);
  // The values of a packed field of varints; `count` grows by them.
  bool SkipPackedVarints(size_t& count);
  // A value whose tag has been read and is unknown; groups with all they hold.
  bool SkipField(uint32_t tag);
  // Forward to an offset of the message; within the limit.
  void SkipTo(size_t offset) { cursor_.Skip(offset - cursor_.offset()); }
  bool Skip(size_t size);

  // Sets the error unless there is one.
  bool Fail(absl::string_view what);
  const std::string& error() const { return error_; }

 private:
  bool SkipGroup(uint32_t field);
  bool SkipValue(uint32_t tag);
  size_t left() const { return limit_ - cursor_.offset(); }

  BytesCursor cursor_;
  size_t limit_;
  int depth_ = 100;  // protobuf's limit of messages and groups within each other
  std::string error_;
};

}  // namespace penstock
