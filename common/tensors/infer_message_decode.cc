#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/bytes_cursor.h"
#include "common/tensors/infer_message.h"
#include "common/tensors/wire_reader.h"

namespace penstock {
namespace {

// Fields of InferTensorContents by number.
constexpr absl::string_view kContentsFields[] = {"",
                                                 "bool_contents",
                                                 "int_contents",
                                                 "int64_contents",
                                                 "uint_contents",
                                                 "uint64_contents",
                                                 "fp32_contents",
                                                 "fp64_contents",
                                                 "bytes_contents"};

// The field that carries the datatype; 0: none does.
uint32_t ContentsField(DataType type) {
  switch (type) {
    case DataType::kBool:
      return 1;
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
      return 2;
    case DataType::kInt64:
      return 3;
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
      return 4;
    case DataType::kUint64:
      return 5;
    case DataType::kFp32:
      return 6;
    case DataType::kFp64:
      return 7;
    case DataType::kBytes:
      return 8;
    case DataType::kFp16:
    case DataType::kBf16:
      return 0;
  }
  return 0;
}

// "input 'x'" in messages.
std::string Label(absl::string_view kind, absl::string_view name) {
  return absl::StrCat(kind, " '", name.substr(0, 128), "'");
}

// Converts the typed contents of one tensor to raw ones.
class ContentsConverter {
 public:
  ContentsConverter(std::string label, DataType type, int64_t wanted)
      : label_(std::move(label)),
        type_(type),
        field_(ContentsField(type)),
        size_(ElementSize(type)),
        wanted_(static_cast<uint64_t>(wanted)) {}

  // Reads up to the reader's limit, which is the end of a contents message.
  absl::Status Read(WireReader& reader) {
    while (!reader.AtLimit()) {
      uint32_t tag = 0;
      if (!reader.ReadTag(tag)) return Broken(reader);
      const uint32_t field = tag >> 3;
      const uint32_t wire_type = tag & 7;
      const bool known = field >= 1 && field <= 8 &&
                         (wire_type == WireReader::kLength || wire_type == Unpacked(field));
      if (!known) {
        if (!reader.SkipField(tag)) return Broken(reader);
        continue;
      }
      PENSTOCK_RETURN_IF_ERROR(wire_type == WireReader::kLength && field != 8
                                   ? ReadPacked(reader, field)
                                   : ReadValue(reader, field));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Finish() && {
    if (count_ != wanted_) {
      return absl::InvalidArgumentError(absl::StrCat(label_, ": the shape asks for ", wanted_,
                                                     " values, contents have ", count_));
    }
    return std::move(raw_);
  }

 private:
  static uint32_t Unpacked(uint32_t field) {
    if (field == 6) return WireReader::kFixed32;
    if (field == 7) return WireReader::kFixed64;
    return field == 8 ? WireReader::kLength : WireReader::kVarint;
  }

  absl::Status Broken(const WireReader& reader) const {
    return absl::InvalidArgumentError(
        absl::StrCat(label_, ": contents do not parse: ", reader.error()));
  }

  absl::Status ReadPacked(WireReader& reader, uint32_t field) {
    size_t size = 0;
    if (!reader.ReadLength(size)) return Broken(reader);
    if (field == field_ && (field == 6 || field == 7)) return ReadPackedFloats(reader, size);
    const size_t end = reader.offset() + size;
    while (reader.offset() < end) PENSTOCK_RETURN_IF_ERROR(ReadValue(reader, field));
    return absl::OkStatus();
  }

  // Packed floats lie as raw contents do.
  absl::Status ReadPackedFloats(WireReader& reader, size_t size) {
    count_ += size / size_;
    if (count_ > wanted_) return TooMany();
    Bytes values;
    if (size % size_ != 0 || !reader.ReadSlice(size, values)) return Broken(reader);
    Append(values);
    return absl::OkStatus();
  }

  absl::Status ReadValue(WireReader& reader, uint32_t field) {
    if (field != field_) {
      return absl::InvalidArgumentError(absl::StrCat(label_, ": ", DataTypeName(type_), " travels ",
                                                     field_ == 0 ? "in raw contents only" : "in ",
                                                     kContentsFields[field_], ", got ",
                                                     kContentsFields[field]));
    }
    if (++count_ > wanted_) return TooMany();
    uint64_t bits = 0;
    switch (field) {
      case 6: {
        uint32_t word = 0;
        if (!reader.ReadFixed32(word)) return Broken(reader);
        bits = word;
        break;
      }
      case 7:
        if (!reader.ReadFixed64(bits)) return Broken(reader);
        break;
      case 8: {
        size_t length = 0;
        Bytes value;
        if (!reader.ReadLength(length) || !reader.ReadSlice(length, value)) return Broken(reader);
        raw_.append(reinterpret_cast<const char*>(&length), sizeof(uint32_t));
        Append(value);
        return absl::OkStatus();
      }
      default:
        if (!reader.ReadVarint(bits)) return Broken(reader);
        PENSTOCK_RETURN_IF_ERROR(CheckRange(bits));
    }
    raw_.append(reinterpret_cast<const char*>(&bits), size_);  // little-endian: the low bytes
    return absl::OkStatus();
  }

  // Narrows to the field's own type as protobuf does, then checks the datatype's range.
  absl::Status CheckRange(uint64_t& bits) const {
    if (type_ == DataType::kBool) bits = bits != 0;
    if (field_ == 2) {
      const int64_t value = static_cast<int32_t>(bits);
      const int64_t limit = int64_t{1} << (8 * size_ - 1);
      if (value < -limit || value >= limit) return OutOfRange(absl::StrCat(value));
    }
    if (field_ == 4) {
      const uint64_t value = static_cast<uint32_t>(bits);
      if (value >= uint64_t{1} << (8 * size_)) return OutOfRange(absl::StrCat(value));
    }
    return absl::OkStatus();
  }

  void Append(const Bytes& bytes) {
    for (const Bytes::Piece& piece : bytes.pieces()) {
      raw_.append(piece.data.data(), piece.data.size());
    }
  }

  absl::Status TooMany() const {
    return absl::InvalidArgumentError(
        absl::StrCat(label_, ": the shape asks for ", wanted_, " values, contents have more"));
  }

  absl::Status OutOfRange(absl::string_view value) const {
    return absl::InvalidArgumentError(absl::StrCat(label_, ": value ", count_ - 1, " is ", value,
                                                   ", out of range for ", DataTypeName(type_)));
  }

  const std::string label_;
  const DataType type_;
  const uint32_t field_;
  const size_t size_;
  const uint64_t wanted_;
  uint64_t count_ = 0;
  std::string raw_;
};

absl::StatusOr<std::vector<Tensor>> Decode(const Bytes& message,
                                           const std::vector<TensorHeader>& headers,
                                           const std::vector<ByteRange>& raw,
                                           absl::string_view kind) {
  const bool is_raw = !raw.empty();
  if (is_raw && raw.size() != headers.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("raw_", kind, "_contents: wanted one for each of the ", headers.size(), " ",
                     kind, "s, got ", raw.size()));
  }
  std::vector<Tensor> tensors;
  tensors.reserve(headers.size());
  absl::flat_hash_set<absl::string_view> names;
  BytesCursor cursor(message);
  WireReader reader(message);
  for (size_t i = 0; i < headers.size(); ++i) {
    const TensorHeader& header = headers[i];
    const std::string label = Label(kind, header.name);
    if (!names.insert(header.name).second) {
      return absl::InvalidArgumentError(absl::StrCat(label, " came twice"));
    }
    for (const Parameter& parameter : header.parameters) {
      if (parameter.name == "shared_memory_region") {
        return absl::InvalidArgumentError(
            absl::StrCat(label, ": shared memory is not supported, send the contents"));
      }
    }
    const absl::StatusOr<DataType> datatype = ParseDataType(header.datatype);
    if (!datatype.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(label, ": ", datatype.status().message()));
    }
    Tensor tensor{.name = header.name, .datatype = *datatype, .shape = header.shape, .data = {}};
    const absl::StatusOr<int64_t> count = ElementCount(tensor.shape);
    if (!count.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(label, ": ", count.status().message()));
    }
    if (is_raw) {
      if (header.has_contents) {
        return absl::InvalidArgumentError(
            absl::StrCat(label, ": contents must be empty where raw_", kind, "_contents are used"));
      }
      cursor.Skip(raw[i].offset - cursor.offset());
      tensor.data = cursor.ReadSlice(raw[i].size);
      if (const absl::Status valid = ValidateTensor(tensor); !valid.ok()) {
        return absl::InvalidArgumentError(absl::StrCat(kind, " ", valid.message()));
      }
    } else {
      ContentsConverter converter(label, *datatype, *count);
      for (const ByteRange& range : header.contents) {
        reader.SkipTo(range.offset);
        const size_t outer_limit = reader.limit();
        reader.SetLimit(range.offset + range.size);
        PENSTOCK_RETURN_IF_ERROR(converter.Read(reader));
        reader.SetLimit(outer_limit);
      }
      PENSTOCK_ASSIGN_OR_RETURN(std::string converted, std::move(converter).Finish());
      tensor.data = Bytes(std::move(converted));
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> DecodeInputs(const Bytes& message,
                                                 const InferRequestHeader& header) {
  return Decode(message, header.inputs, header.raw_inputs, "input");
}

absl::StatusOr<std::vector<Tensor>> DecodeOutputs(const Bytes& message,
                                                  const InferResponseHeader& header) {
  return Decode(message, header.outputs, header.raw_outputs, "output");
}

}  // namespace penstock
