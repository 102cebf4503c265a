#include "tests/mutation/wire_mutation.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "tests/mutation/random_words.h"

namespace penstock {
namespace {

constexpr int kLengthDelimited = 2;

void AppendVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

std::optional<uint64_t> TakeVarint(const std::string& in, size_t& at) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && at < in.size(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in[at++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// One field: its tag, and what follows it (of length-delimited ones without the length).
struct Field {
  uint64_t tag = 0;
  std::string payload;

  int wire_type() const { return static_cast<int>(tag & 7); }
  // True: `payload` is length-delimited and stands behind `length` instead of its own.
  std::optional<uint64_t> length;
};

std::optional<std::vector<Field>> Split(const std::string& message) {
  std::vector<Field> fields;
  for (size_t at = 0; at < message.size();) {
    Field field;
    const std::optional<uint64_t> tag = TakeVarint(message, at);
    if (!tag.has_value() || *tag < 8) return std::nullopt;
    field.tag = *tag;
    size_t size = 0;
    switch (field.wire_type()) {
      case 0: {
        const size_t begin = at;
        if (!TakeVarint(message, at).has_value()) return std::nullopt;
        size = at - begin;
        at = begin;
        break;
      }
      case 1:
        size = 8;
        break;
      case kLengthDelimited: {
        const std::optional<uint64_t> length = TakeVarint(message, at);
        if (!length.has_value() || *length > message.size() - at) return std::nullopt;
        size = static_cast<size_t>(*length);
        break;
      }
      case 5:
        size = 4;
        break;
      default:
        return std::nullopt;
    }
    if (size > message.size() - at) return std::nullopt;
    field.payload = message.substr(at, size);
    at += size;
    fields.push_back(std::move(field));
  }
  return fields;
}

std::string Join(const std::vector<Field>& fields) {
  std::string out;
  for (const Field& field : fields) {
    AppendVarint(field.tag, out);
    if (field.wire_type() == kLengthDelimited) {
      AppendVarint(field.length.value_or(field.payload.size()), out);
    }
    out += field.payload;
  }
  return out;
}

std::string OddVarint(CounterRandom& random) {
  switch (random.Below(4)) {
    case 0:
      return std::string(9, '\xff') + '\x01';  // 2^64 - 1
    case 1:
      return std::string(9, '\xff') + '\x7f';  // more than 64 bits
    case 2:
      return std::string(11, '\x80') + '\x01';  // longer than any varint
    default: {
      std::string out;
      AppendVarint(OddInteger(random), out);
      return out;
    }
  }
}

std::string MutateBytes(std::string bytes, CounterRandom& random) {
  const size_t at = bytes.empty() ? 0 : random.Below(bytes.size());
  const size_t run = bytes.empty() ? 0 : random.Below(std::min<size_t>(bytes.size() - at, 16) + 1);
  switch (random.Below(6)) {
    case 0:
      if (!bytes.empty()) {
        for (uint64_t n = 1 + random.Below(8); n > 0; --n) {
          bytes[random.Below(bytes.size())] ^= static_cast<char>(1u << random.Below(8));
        }
      }
      break;
    case 1:
      bytes.resize(at);
      break;
    case 2:
      bytes.erase(at, run);
      break;
    case 3:
      bytes.insert(at, bytes.substr(at, run));
      break;
    case 4:
      bytes.insert(at, OddText(random));
      break;
    default:
      bytes.insert(at, OddVarint(random));
  }
  return bytes;
}

// A field that nests deeper than any reader should follow, of groups or of messages.
Field Deep(CounterRandom& random) {
  const uint64_t number = 1 + random.Below(9);
  const uint64_t depth = random.Below(3000);
  Field field;
  if (OneIn(2, random)) {
    field.tag = number << 3 | 3;  // a group begins
    for (uint64_t i = 0; i < depth; ++i) AppendVarint(field.tag, field.payload);
    return field;
  }
  field.tag = number << 3 | kLengthDelimited;
  for (uint64_t i = 0; i < std::min<uint64_t>(depth, 300); ++i) {
    std::string outer;
    AppendVarint(field.tag, outer);
    AppendVarint(field.payload.size(), outer);
    field.payload = outer + field.payload;
  }
  return field;
}

void MutateFields(std::vector<Field>& fields, CounterRandom& random) {
  const size_t at = random.Below(fields.size());
  Field& field = fields[at];
  switch (random.Below(11)) {
    case 0:
      fields.push_back(field);
      break;
    case 1:
      for (uint64_t n = random.Below(100); n > 0; --n) fields.push_back(fields[at]);
      break;
    case 2:
      std::swap(field, fields[random.Below(fields.size())]);
      break;
    case 3:
      std::reverse(fields.begin(), fields.end());
      break;
    case 4:
      fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(at));
      break;
    case 5:
      field.tag = (field.tag & ~uint64_t{7}) | random.Below(8);  // another wire type
      break;
    case 6:
      field.tag = OddInteger(random);
      break;
    case 7:
      if (field.wire_type() == kLengthDelimited) {
        field.length =
            OneIn(2, random) ? OddInteger(random) : field.payload.size() + random.Below(5) - 2;
      } else {
        field.payload = OddVarint(random);
      }
      break;
    case 8:
      fields.push_back({.tag = (100 + random.Below(1 << 20)) << 3 | kLengthDelimited,
                        .payload = OddText(random)});
      break;
    case 9:
      fields.insert(fields.begin() + static_cast<std::ptrdiff_t>(at), Deep(random));
      break;
    default:
      field.payload = field.wire_type() == 0 ? OddVarint(random) : OddText(random);
  }
}

}  // namespace

std::string MutateWire(std::string message, CounterRandom& random) {
  std::optional<std::vector<Field>> fields = Split(message);
  if (!fields.has_value() || fields->empty() || OneIn(4, random)) {
    return MutateBytes(std::move(message), random);
  }
  // Deeper half of the time: lengths around what is changed stay right.
  std::vector<Field*> nested;
  for (Field& field : *fields) {
    if (field.wire_type() == kLengthDelimited && !field.payload.empty()) nested.push_back(&field);
  }
  if (!nested.empty() && OneIn(2, random)) {
    Field& chosen = *nested[random.Below(nested.size())];
    chosen.payload = MutateWire(std::move(chosen.payload), random);
  } else {
    MutateFields(*fields, random);
  }
  return Join(*fields);
}

}  // namespace penstock
