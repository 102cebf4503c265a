#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/bytes.h"
#include "common/tensors/datatype.h"

namespace penstock {

// A tensor as OIP's raw contents hold it: row-major, little-endian, no padding.
struct Tensor {
  std::string name;
  DataType datatype = DataType::kFp32;
  std::vector<int64_t> shape;
  Bytes data;
};

// Product of the dimensions, 1 for a scalar; INVALID_ARGUMENT for a negative one or an overflow.
absl::StatusOr<int64_t> ElementCount(absl::Span<const int64_t> shape);
// "[2,3]".
std::string ShapeString(absl::Span<const int64_t> shape);
// Checks that `data` has exactly the bytes that datatype and shape ask for; for BYTES walks the
// lengths. The message names the tensor, what was wanted and what came.
absl::Status ValidateTensor(const Tensor& tensor);

// Numeric tensors as fp32 (any datatype but BYTES).
absl::StatusOr<std::vector<float>> ToFloats(const Tensor& tensor);
Tensor FloatTensor(std::string name, std::vector<int64_t> shape, absl::Span<const float> values);
// BYTES tensors.
absl::StatusOr<std::vector<std::string>> ToStrings(const Tensor& tensor);
Tensor StringTensor(std::string name, std::vector<int64_t> shape,
                    absl::Span<const std::string> values);

// Rows [first, first + count) of the leading dimension, without copying (BYTES tensors too).
absl::StatusOr<Tensor> SliceRows(const Tensor& tensor, int64_t first, int64_t count);

}  // namespace penstock
