#include "router_service/quality/learned/sparse_rows_file.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

SafetensorsTensor ListOfU32(std::string name, const std::vector<uint32_t>& values) {
  return {
      std::move(name),
      {static_cast<int64_t>(values.size())},
      {},
      "U32",
      std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(uint32_t))};
}

absl::StatusOr<std::vector<uint32_t>> ReadU32(const Safetensors& file, const std::string& path,
                                              const std::string& name) {
  const Safetensors::Entry* entry = file.Find(name);
  if (entry == nullptr || entry->dtype != "U32" || entry->shape.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": tensor \"", name, "\" is missing or no list of U32"));
  }
  std::vector<uint32_t> values(entry->data.size() / sizeof(uint32_t));
  std::memcpy(values.data(), entry->data.data(), values.size() * sizeof(uint32_t));
  return values;
}

}  // namespace

void AppendRows(const SparseRows& rows, const std::string& name,
                std::vector<SafetensorsTensor>& tensors) {
  std::vector<uint32_t> lengths;
  for (size_t row = 0; row < rows.rows(); ++row) {
    lengths.push_back(static_cast<uint32_t>(rows.Columns(row).size()));
  }
  tensors.push_back(ListOfU32(name + "_lengths", lengths));
  tensors.push_back(ListOfU32(name + "_columns", rows.column));
  tensors.push_back({name + "_values", {static_cast<int64_t>(rows.value.size())}, rows.value});
}

absl::StatusOr<SparseRows> ReadRows(const Safetensors& file, const std::string& path,
                                    const std::string& name, size_t columns) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<uint32_t> lengths,
                            ReadU32(file, path, name + "_lengths"));
  SparseRows rows;
  rows.columns = columns;
  PENSTOCK_ASSIGN_OR_RETURN(rows.column, ReadU32(file, path, name + "_columns"));
  PENSTOCK_ASSIGN_OR_RETURN(
      rows.value, file.Floats(name + "_values", {static_cast<int64_t>(rows.column.size())}));
  for (const uint32_t length : lengths) rows.begin.push_back(rows.begin.back() + length);
  if (rows.begin.back() != rows.column.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": \"", name, "_lengths\" do not add up to the entries"));
  }
  for (size_t row = 0; row < rows.rows(); ++row) {
    for (size_t i = rows.begin[row]; i < rows.begin[row + 1]; ++i) {
      const bool ascends = i == rows.begin[row] || rows.column[i] > rows.column[i - 1];
      if (ascends && rows.column[i] < columns && std::isfinite(rows.value[i])) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": ", name, " ", row,
                       " does not ascend, goes beyond the features, or is not finite"));
    }
  }
  return rows;
}

}  // namespace penstock::router
