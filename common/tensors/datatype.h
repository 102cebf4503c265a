#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// Tensor element types of the Open Inference Protocol v2, and Triton's BF16.
enum class DataType : uint8_t {
  kBool, kUint8, kUint16, kUint32, kUint64, kInt8, kInt16, kInt32, kInt64,
  kFp16, kBf16, kFp32, kFp64, kBytes,
};

// "FP32" and so on; INVALID_ARGUMENT for anything else.
absl::StatusOr<DataType> ParseDataType(absl::string_view name);
absl::string_view DataTypeName(DataType type);
// Bytes an element takes in raw contents; 0 for BYTES (4-byte little-endian length, then the bytes).
size_t ElementSize(DataType type);

}  // namespace penstock
