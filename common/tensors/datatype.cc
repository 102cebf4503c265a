#include "common/tensors/datatype.h"

#include <array>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

struct Description {
  DataType type;
  absl::string_view name;
  size_t size;
};

// In the order of the enum.
constexpr std::array<Description, 14> kDescriptions = {{
    {DataType::kBool, "BOOL", 1},
    {DataType::kUint8, "UINT8", 1},
    {DataType::kUint16, "UINT16", 2},
    {DataType::kUint32, "UINT32", 4},
    {DataType::kUint64, "UINT64", 8},
    {DataType::kInt8, "INT8", 1},
    {DataType::kInt16, "INT16", 2},
    {DataType::kInt32, "INT32", 4},
    {DataType::kInt64, "INT64", 8},
    {DataType::kFp16, "FP16", 2},
    {DataType::kBf16, "BF16", 2},
    {DataType::kFp32, "FP32", 4},
    {DataType::kFp64, "FP64", 8},
    {DataType::kBytes, "BYTES", 0},
}};

const Description& Describe(DataType type) { return kDescriptions[static_cast<size_t>(type)]; }

}  // namespace

absl::StatusOr<DataType> ParseDataType(absl::string_view name) {
  for (const Description& description : kDescriptions) {
    if (description.name == name) return description.type;
  }
  std::string known;
  for (const Description& description : kDescriptions) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", description.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("datatype '", name.substr(0, 64), "' is not one of ", known));
}

absl::string_view DataTypeName(DataType type) { return Describe(type).name; }

size_t ElementSize(DataType type) { return Describe(type).size; }

}  // namespace penstock
