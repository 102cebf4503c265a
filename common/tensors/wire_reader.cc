#include "common/tensors/wire_reader.h"

#include <bit>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/utf8.h"

namespace penstock {

static_assert(std::endian::native == std::endian::little, "fixed values are copied as they lie");

bool WireReader::Fail(absl::string_view what) {
  if (error_.empty()) error_ = absl::StrCat(what, " at byte ", offset());
  return false;
}

bool WireReader::ReadTag(uint32_t& tag) {
  // Five bytes at most; bits beyond the 32nd fall off.
  tag = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (AtLimit()) return Fail("truncated tag");
    const uint8_t byte = cursor_.ReadByte();
    tag |= static_cast<uint32_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return Fail("overlong tag");
}

bool WireReader::ReadVarint(uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (AtLimit()) return Fail("truncated varint");
    const uint8_t byte = cursor_.ReadByte();
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return Fail("overlong varint");
}

bool WireReader::ReadLength(size_t& size) {
  uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (AtLimit()) return Fail("truncated length");
    const uint8_t byte = cursor_.ReadByte();
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      if (value > left()) return Fail("length beyond the end");
      size = value;
      return true;
    }
  }
  return Fail("overlong length");
}

bool WireReader::EnterMessage() {
  size_t size = 0;
  if (!ReadLength(size)) return false;
  if (--depth_ < 0) return Fail("messages nested too deep");
  limit_ = offset() + size;
  return true;
}

bool WireReader::Skip(size_t size) {
  if (size > left()) return Fail("truncated value");
  cursor_.Skip(size);
  return true;
}

bool WireReader::ReadString(std::string& value) {
  size_t size = 0;
  if (!ReadLength(size)) return false;
  value = cursor_.ReadString(size);
  return IsUtf8(value) || Fail("string that is not UTF-8");
}

bool WireReader::ReadSlice(size_t size, Bytes& value) {
  if (size > left()) return Fail("truncated value");
  value = cursor_.ReadSlice(size);
  return true;
}

bool WireReader::ReadFixed32(uint32_t& value) {
  if (left() < sizeof(value)) return Fail("truncated value");
  cursor_.Read(&value, sizeof(value));
  return true;
}

bool WireReader::ReadFixed64(uint64_t& value) {
  if (left() < sizeof(value)) return Fail("truncated value");
  cursor_.Read(&value, sizeof(value));
  return true;
}

bool WireReader::SkipPackedVarints(size_t& count) {
  size_t size = 0;
  if (!ReadLength(size)) return false;
  int length = 0;  // of the varint at hand
  while (size > 0) {
    const absl::string_view run = cursor_.run().substr(0, size);
    for (const char byte : run) {
      if (++length > 10) return Fail("overlong varint");
      if (static_cast<uint8_t>(byte) < 0x80) {
        ++count;
        length = 0;
      }
    }
    size -= run.size();
    cursor_.Skip(run.size());
  }
  return length == 0 || Fail("truncated varint");
}

bool WireReader::SkipValue(uint32_t tag) {
  switch (tag & 7) {
    case kVarint: {
      uint64_t value = 0;
      return ReadVarint(value);
    }
    case kFixed64:
      return Skip(8);
    case kLength: {
      size_t size = 0;
      return ReadLength(size) && Skip(size);
    }
    case kFixed32:
      return Skip(4);
  }
  return Fail("unknown wire type");
}

bool WireReader::SkipField(uint32_t tag) {
  if (tag >> 3 == 0) return Fail("field number 0");
  if ((tag & 7) == kEndGroup) return Fail("end of a group that did not begin");
  return (tag & 7) == kGroup ? SkipGroup(tag >> 3) : SkipValue(tag);
}

bool WireReader::SkipGroup(uint32_t field) {
  std::vector<uint32_t> open = {field};
  if (depth_ < 1) return Fail("groups nested too deep");
  while (!open.empty()) {
    if (AtLimit()) return Fail("group without an end");
    uint32_t tag = 0;
    if (!ReadTag(tag)) return false;
    if (tag >> 3 == 0) return Fail("field number 0");
    if ((tag & 7) == kEndGroup) {
      if (tag >> 3 != open.back()) return Fail("end of a group that did not begin");
      open.pop_back();
    } else if ((tag & 7) == kGroup) {
      open.push_back(tag >> 3);
      if (open.size() > static_cast<size_t>(depth_)) return Fail("groups nested too deep");
    } else if (!SkipValue(tag)) {
      return false;
    }
  }
  return true;
}

}  // namespace penstock
