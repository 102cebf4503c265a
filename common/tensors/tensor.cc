#include "common/tensors/tensor.h"

#include <cstring>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "common/tensors/bytes_cursor.h"
#include "common/tensors/float_formats.h"

namespace penstock {
namespace {

std::string Label(const Tensor& tensor) {
  return absl::StrCat("'", absl::string_view(tensor.name).substr(0, 128), "'");
}

absl::Status WrongSize(const Tensor& tensor, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(Label(tensor), ": ", DataTypeName(tensor.datatype),
                                                 " of shape ", ShapeString(tensor.shape), " takes ",
                                                 wanted, ", got ", tensor.data.size()));
}

// Walks BYTES elements: `element(size)` is called with the cursor before each element's bytes and
// must move past them. Returns an error where a length does not fit or bytes are left.
template <typename Element>
absl::Status ForEachElement(const Tensor& tensor, BytesCursor& cursor, int64_t count,
                            const Element& element) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t size = 0;
    if (cursor.remaining() < sizeof(size)) {
      return absl::InvalidArgumentError(absl::StrCat(Label(tensor), ": BYTES of shape ",
                                                     ShapeString(tensor.shape), " has ", count,
                                                     " elements, got bytes for ", i));
    }
    cursor.Read(&size, sizeof(size));
    if (size > cursor.remaining()) {
      return absl::InvalidArgumentError(absl::StrCat(Label(tensor), ": BYTES element ", i, " has ",
                                                     size, " bytes, got ", cursor.remaining()));
    }
    element(size);
  }
  return absl::OkStatus();
}

template <typename T, typename Convert>
void ConvertAll(const char* from, std::vector<float>& to, const Convert& convert) {
  for (float& value : to) {
    T element;
    std::memcpy(&element, from, sizeof(T));
    from += sizeof(T);
    value = convert(element);
  }
}

template <typename T>
void CastAll(const char* from, std::vector<float>& to) {
  ConvertAll<T>(from, to, [](T value) { return static_cast<float>(value); });
}

}  // namespace

absl::StatusOr<int64_t> ElementCount(absl::Span<const int64_t> shape) {
  int64_t count = 1;
  bool overflow = false;
  bool has_zero = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape ", ShapeString(shape), " has a negative dimension"));
    }
    has_zero |= dimension == 0;
    overflow |= dimension != 0 && __builtin_mul_overflow(count, dimension, &count);
  }
  if (has_zero) return 0;
  if (overflow) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape ", ShapeString(shape), " has more than 2^63 elements"));
  }
  return count;
}

std::string ShapeString(absl::Span<const int64_t> shape) {
  // Hostile shapes may have thousands of dimensions.
  constexpr size_t kShown = 16;
  return absl::StrCat("[", absl::StrJoin(shape.subspan(0, kShown), ","),
                      shape.size() > kShown ? ",...]" : "]");
}

absl::Status ValidateTensor(const Tensor& tensor) {
  const absl::StatusOr<int64_t> count = ElementCount(tensor.shape);
  if (!count.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(Label(tensor), ": ", count.status().message()));
  }
  if (tensor.datatype == DataType::kBytes) {
    BytesCursor cursor(tensor.data);
    PENSTOCK_RETURN_IF_ERROR(
        ForEachElement(tensor, cursor, *count, [&](uint32_t size) { cursor.Skip(size); }));
    if (cursor.remaining() == 0) return absl::OkStatus();
    return WrongSize(tensor, absl::StrCat(cursor.offset(), " bytes by its lengths"));
  }
  int64_t wanted = 0;
  if (__builtin_mul_overflow(*count, static_cast<int64_t>(ElementSize(tensor.datatype)), &wanted)) {
    return WrongSize(tensor, "more than 2^63 bytes");
  }
  if (static_cast<uint64_t>(wanted) == tensor.data.size()) return absl::OkStatus();
  return WrongSize(tensor, absl::StrCat(wanted, " bytes"));
}

absl::StatusOr<std::vector<float>> ToFloats(const Tensor& tensor) {
  if (tensor.datatype == DataType::kBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(Label(tensor), ": wanted a numeric datatype, got BYTES"));
  }
  PENSTOCK_RETURN_IF_ERROR(ValidateTensor(tensor));
  std::vector<float> floats(tensor.data.size() / ElementSize(tensor.datatype));
  if (tensor.datatype == DataType::kFp32) {
    tensor.data.CopyTo(floats.data());
    return floats;
  }
  std::string storage;
  const char* from = tensor.data.Flat(storage).data();
  switch (tensor.datatype) {
    case DataType::kBool:
      ConvertAll<uint8_t>(from, floats, [](uint8_t value) { return value != 0 ? 1.0f : 0.0f; });
      break;
    case DataType::kUint8:
      CastAll<uint8_t>(from, floats);
      break;
    case DataType::kUint16:
      CastAll<uint16_t>(from, floats);
      break;
    case DataType::kUint32:
      CastAll<uint32_t>(from, floats);
      break;
    case DataType::kUint64:
      CastAll<uint64_t>(from, floats);
      break;
    case DataType::kInt8:
      CastAll<int8_t>(from, floats);
      break;
    case DataType::kInt16:
      CastAll<int16_t>(from, floats);
      break;
    case DataType::kInt32:
      CastAll<int32_t>(from, floats);
      break;
    case DataType::kInt64:
      CastAll<int64_t>(from, floats);
      break;
    case DataType::kFp16:
      ConvertAll<uint16_t>(from, floats, HalfToFloat);
      break;
    case DataType::kBf16:
      ConvertAll<uint16_t>(from, floats, Bfloat16ToFloat);
      break;
    case DataType::kFp64:
      CastAll<double>(from, floats);
      break;
    case DataType::kFp32:
    case DataType::kBytes:
      break;  // left above
  }
  return floats;
}

Tensor FloatTensor(std::string name, std::vector<int64_t> shape, absl::Span<const float> values) {
  std::string data(values.size() * sizeof(float), '\0');
  if (!values.empty()) std::memcpy(data.data(), values.data(), data.size());
  return {.name = std::move(name),
          .datatype = DataType::kFp32,
          .shape = std::move(shape),
          .data = Bytes(std::move(data))};
}

absl::StatusOr<std::vector<std::string>> ToStrings(const Tensor& tensor) {
  if (tensor.datatype != DataType::kBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(Label(tensor), ": wanted BYTES, got ", DataTypeName(tensor.datatype)));
  }
  PENSTOCK_RETURN_IF_ERROR(ValidateTensor(tensor));
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t count, ElementCount(tensor.shape));
  std::vector<std::string> strings;
  strings.reserve(count);
  BytesCursor cursor(tensor.data);
  PENSTOCK_RETURN_IF_ERROR(ForEachElement(
      tensor, cursor, count, [&](uint32_t size) { strings.push_back(cursor.ReadString(size)); }));
  return strings;
}

Tensor StringTensor(std::string name, std::vector<int64_t> shape,
                    absl::Span<const std::string> values) {
  std::string data;
  for (const std::string& value : values) {
    const uint32_t size = static_cast<uint32_t>(value.size());
    data.append(reinterpret_cast<const char*>(&size), sizeof(size));
    data.append(value);
  }
  return {.name = std::move(name),
          .datatype = DataType::kBytes,
          .shape = std::move(shape),
          .data = Bytes(std::move(data))};
}

absl::StatusOr<Tensor> SliceRows(const Tensor& tensor, int64_t first, int64_t count) {
  if (tensor.shape.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(Label(tensor), ": a scalar has no rows"));
  }
  const int64_t rows = tensor.shape[0];
  if (first < 0 || count < 0 || first > rows || count > rows - first) {
    return absl::InvalidArgumentError(
        absl::StrCat(Label(tensor), ": wanted ", count, " rows from row ", first, ", got ", rows));
  }
  PENSTOCK_RETURN_IF_ERROR(ValidateTensor(tensor));
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t row_elements,
                            ElementCount(absl::MakeConstSpan(tensor.shape).subspan(1)));
  Tensor slice{.name = tensor.name, .datatype = tensor.datatype, .shape = tensor.shape, .data = {}};
  slice.shape[0] = count;
  if (count == 0 || row_elements == 0) return slice;
  if (tensor.datatype != DataType::kBytes) {
    const size_t row_size = static_cast<size_t>(row_elements) * ElementSize(tensor.datatype);
    slice.data = tensor.data.Slice(first * row_size, count * row_size);
    return slice;
  }
  BytesCursor cursor(tensor.data);
  const auto skip = [&](uint32_t size) { cursor.Skip(size); };
  PENSTOCK_RETURN_IF_ERROR(ForEachElement(tensor, cursor, first * row_elements, skip));
  const size_t start = cursor.offset();
  PENSTOCK_RETURN_IF_ERROR(ForEachElement(tensor, cursor, count * row_elements, skip));
  slice.data = tensor.data.Slice(start, cursor.offset() - start);
  return slice;
}

}  // namespace penstock
