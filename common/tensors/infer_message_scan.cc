#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/tensors/infer_message.h"
#include "common/tensors/wire_reader.h"

namespace penstock {
namespace {

constexpr auto kVarint = WireReader::kVarint;
constexpr auto kFixed64 = WireReader::kFixed64;
constexpr auto kLength = WireReader::kLength;
constexpr auto kFixed32 = WireReader::kFixed32;
constexpr uint32_t Tag(uint32_t field, WireReader::WireType type) {
  return WireReader::Tag(field, type);
}

// Calls field(tag, offset of the tag) for each field of the message whose length is next; false
// stops.
template <typename Field>
bool ForEachField(WireReader& reader, const Field& field) {
  const size_t outer_limit = reader.limit();
  if (!reader.EnterMessage()) return false;
  while (!reader.AtLimit()) {
    const size_t start = reader.offset();
    uint32_t tag = 0;
    if (!reader.ReadTag(tag) || !field(tag, start)) return false;
  }
  reader.LeaveMessage(outer_limit);
  return true;
}

// Collects map entries; a later one replaces an earlier one of the same name.
class ParameterMap {
 public:
  explicit ParameterMap(std::vector<Parameter>& parameters) : parameters_(parameters) {}

  void Set(Parameter parameter) {
    const auto [it, inserted] = index_.try_emplace(parameter.name, parameters_.size());
    if (inserted) {
      parameters_.push_back(std::move(parameter));
    } else {
      parameters_[it->second] = std::move(parameter);
    }
  }

 private:
  std::vector<Parameter>& parameters_;
  absl::flat_hash_map<std::string, size_t> index_;
};

class Scanner {
 public:
  explicit Scanner(const Bytes& message) : reader_(message) {}

  bool ScanRequest(InferRequestHeader& header) {
    ParameterMap parameters(header.parameters);
    while (!reader_.AtLimit()) {
      const size_t start = reader_.offset();
      uint32_t tag = 0;
      if (!reader_.ReadTag(tag)) return false;
      switch (tag) {
        case Tag(1, kLength):
          if (!reader_.ReadString(header.model_name)) return false;
          break;
        case Tag(2, kLength):
          if (!reader_.ReadString(header.model_version)) return false;
          break;
        case Tag(3, kLength):
          if (!reader_.ReadString(header.id)) return false;
          break;
        case Tag(4, kLength): {
          Parameter parameter;
          if (!ScanParameter(start, parameter)) return false;
          if (absl::StartsWith(parameter.name, "penstock_")) {
            header.parameter_ranges.push_back(parameter.range);
          }
          parameters.Set(std::move(parameter));
          break;
        }
        case Tag(5, kLength):
          if (!ScanTensor(start, header.inputs.emplace_back())) return false;
          break;
        case Tag(6, kLength):
          if (!ScanRequestedOutput(header.outputs.emplace_back())) return false;
          break;
        case Tag(7, kLength):
          if (!ScanRaw(header.raw_inputs)) return false;
          break;
        default:
          if (!reader_.SkipField(tag)) return false;
      }
    }
    return true;
  }

  bool ScanResponse(InferResponseHeader& header) {
    ParameterMap parameters(header.parameters);
    while (!reader_.AtLimit()) {
      const size_t start = reader_.offset();
      uint32_t tag = 0;
      if (!reader_.ReadTag(tag)) return false;
      switch (tag) {
        case Tag(1, kLength):
          if (!reader_.ReadString(header.model_name)) return false;
          break;
        case Tag(2, kLength):
          if (!reader_.ReadString(header.model_version)) return false;
          break;
        case Tag(3, kLength):
          if (!reader_.ReadString(header.id)) return false;
          break;
        case Tag(4, kLength): {
          Parameter parameter;
          if (!ScanParameter(start, parameter)) return false;
          if (absl::StartsWith(parameter.name, "penstock_")) {
            header.parameter_ranges.push_back(parameter.range);
          }
          parameters.Set(std::move(parameter));
          break;
        }
        case Tag(5, kLength):
          if (!ScanTensor(start, header.outputs.emplace_back())) return false;
          break;
        case Tag(6, kLength):
          if (!ScanRaw(header.raw_outputs)) return false;
          break;
        default:
          if (!reader_.SkipField(tag)) return false;
      }
    }
    return true;
  }

  bool ScanName(std::string& model_name) {
    while (!reader_.AtLimit()) {
      uint32_t tag = 0;
      if (!reader_.ReadTag(tag)) return false;
      if (tag == Tag(1, kLength) ? !reader_.ReadString(model_name) : !reader_.SkipField(tag)) {
        return false;
      }
    }
    return true;
  }

  absl::Status Error(absl::string_view type) const {
    return absl::InvalidArgumentError(absl::StrCat(type, " does not parse: ", reader_.error()));
  }

 private:
  bool CountEntries(size_t entries) {
    entries_ += entries;
    return entries_ <= kMaxMessageEntries ||
           reader_.Fail(absl::StrCat("more than ", kMaxMessageEntries,
                                     " tensors, dimensions and parameters"));
  }

  bool ScanRaw(std::vector<ByteRange>& ranges) {
    size_t size = 0;
    if (!CountEntries(1) || !reader_.ReadLength(size)) return false;
    ranges.push_back({.offset = reader_.offset(), .size = size});
    return reader_.Skip(size);
  }

  // InferParameter: a oneof, whose last field wins; without any field what came before stays.
  bool ScanParameterValue(ParameterValue& value) {
    return ForEachField(reader_, [&](uint32_t tag, size_t field_start) {
      uint64_t bits = 0;
      std::string text;
      switch (tag) {
        case Tag(1, kVarint):
          if (!reader_.ReadVarint(bits)) return false;
          value = bits != 0;
          return true;
        case Tag(2, kVarint):
          if (!reader_.ReadVarint(bits)) return false;
          value = static_cast<int64_t>(bits);
          return true;
        case Tag(3, kLength):
          if (!reader_.ReadString(text)) return false;
          value = std::move(text);
          return true;
        case Tag(4, kFixed64):
          if (!reader_.ReadFixed64(bits)) return false;
          value = std::bit_cast<double>(bits);
          return true;
        case Tag(5, kVarint):
          if (!reader_.ReadVarint(bits)) return false;
          value = bits;
          return true;
        default:
          return reader_.SkipField(tag);
      }
    });
  }

  // A map entry: key and value may come in either order, repeatedly, or not at all.
  bool ScanParameter(size_t start, Parameter& parameter) {
    const bool parsed =
        CountEntries(1) && ForEachField(reader_, [&](uint32_t tag, size_t field_start) {
          switch (tag) {
            case Tag(1, kLength):
              return reader_.ReadString(parameter.name);
            case Tag(2, kLength):
              return ScanParameterValue(parameter.value);
            default:
              return reader_.SkipField(tag);
          }
        });
    parameter.range = {.offset = start, .size = reader_.offset() - start};
    return parsed;
  }

  // InferInputTensor and InferOutputTensor have the same fields.
  bool ScanTensor(size_t start, TensorHeader& tensor) {
    ParameterMap parameters(tensor.parameters);
    const bool parsed =
        CountEntries(1) && ForEachField(reader_, [&](uint32_t tag, size_t field_start) {
          switch (tag) {
            case Tag(1, kLength):
              return reader_.ReadString(tensor.name);
            case Tag(2, kLength):
              return reader_.ReadString(tensor.datatype);
            case Tag(3, kLength):
              return ScanPackedShape(tensor.shape);
            case Tag(3, kVarint):
              return ScanDimension(tensor.shape);
            case Tag(4, kLength): {
              Parameter parameter;
              if (!ScanParameter(field_start, parameter)) return false;
              parameters.Set(std::move(parameter));
              return true;
            }
            case Tag(5, kLength):
              return ScanContents(tensor);
            default:
              return reader_.SkipField(tag);
          }
        });
    tensor.range = {.offset = start, .size = reader_.offset() - start};
    return parsed;
  }

  bool ScanDimension(std::vector<int64_t>& shape) {
    uint64_t dimension = 0;
    if (!CountEntries(1) || !reader_.ReadVarint(dimension)) return false;
    shape.push_back(static_cast<int64_t>(dimension));
    return true;
  }

  bool ScanPackedShape(std::vector<int64_t>& shape) {
    size_t size = 0;
    if (!reader_.ReadLength(size)) return false;
    const size_t end = reader_.offset() + size;
    while (reader_.offset() < end) {
      if (!ScanDimension(shape)) return false;
    }
    return reader_.offset() == end || reader_.Fail("truncated varint");
  }

  // InferTensorContents: checks each value, keeps none.
  bool ScanContents(TensorHeader& tensor) {
    size_t values = 0;
    ByteRange& range = tensor.contents.emplace_back();
    const size_t outer_limit = reader_.limit();
    if (!CountEntries(1) || !reader_.EnterMessage()) return false;
    range = {.offset = reader_.offset(), .size = reader_.limit() - reader_.offset()};
    while (!reader_.AtLimit()) {
      if (!ScanContentsField(values)) return false;
    }
    reader_.LeaveMessage(outer_limit);
    tensor.has_contents |= values > 0;
    return true;
  }

  bool ScanContentsField(size_t& values) {
    uint32_t tag = 0;
    uint64_t value = 0;
    size_t size = 0;
    if (!reader_.ReadTag(tag)) return false;
    switch (tag) {
      case Tag(1, kLength):
      case Tag(2, kLength):
      case Tag(3, kLength):
      case Tag(4, kLength):
      case Tag(5, kLength):
        return reader_.SkipPackedVarints(values);
      case Tag(1, kVarint):
      case Tag(2, kVarint):
      case Tag(3, kVarint):
      case Tag(4, kVarint):
      case Tag(5, kVarint):
        ++values;
        return reader_.ReadVarint(value);
      case Tag(6, kLength):
        if (!reader_.ReadLength(size)) return false;
        if (size % sizeof(float) != 0) return reader_.Fail("fp32_contents of a broken size");
        values += size / sizeof(float);
        return reader_.Skip(size);
      case Tag(6, kFixed32):
        ++values;
        return reader_.Skip(sizeof(float));
      case Tag(7, kLength):
        if (!reader_.ReadLength(size)) return false;
        if (size % sizeof(double) != 0) return reader_.Fail("fp64_contents of a broken size");
        values += size / sizeof(double);
        return reader_.Skip(size);
      case Tag(7, kFixed64):
        ++values;
        return reader_.Skip(sizeof(double));
      case Tag(8, kLength):
        ++values;
        return reader_.ReadLength(size) && reader_.Skip(size);
      default:
        return reader_.SkipField(tag);
    }
  }

  bool ScanRequestedOutput(RequestedOutput& output) {
    ParameterMap parameters(output.parameters);
    return CountEntries(1) && ForEachField(reader_, [&](uint32_t tag, size_t field_start) {
             switch (tag) {
               case Tag(1, kLength):
                 return reader_.ReadString(output.name);
               case Tag(2, kLength): {
                 Parameter parameter;
                 if (!ScanParameter(field_start, parameter)) return false;
                 parameters.Set(std::move(parameter));
                 return true;
               }
               default:
                 return reader_.SkipField(tag);
             }
           });
  }

  WireReader reader_;
  size_t entries_ = 0;
};

}  // namespace

absl::StatusOr<InferRequestHeader> ScanInferRequest(const Bytes& message) {
  Scanner scanner(message);
  InferRequestHeader header;
  if (!scanner.ScanRequest(header)) return scanner.Error("ModelInferRequest");
  return header;
}

absl::StatusOr<InferResponseHeader> ScanInferResponse(const Bytes& message) {
  Scanner scanner(message);
  InferResponseHeader header;
  if (!scanner.ScanResponse(header)) return scanner.Error("ModelInferResponse");
  return header;
}

absl::StatusOr<std::string> ScanModelName(const Bytes& message) {
  Scanner scanner(message);
  std::string model_name;
  if (!scanner.ScanName(model_name)) return scanner.Error("ModelInferRequest");
  return model_name;
}

}  // namespace penstock
