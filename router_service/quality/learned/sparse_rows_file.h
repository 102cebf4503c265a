#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tensors/safetensors.h"
#include "router_service/features/sparse_rows.h"

namespace penstock::router {

// Sparse rows as the tensors `name`_lengths, _columns and _values.
void AppendRows(const SparseRows& rows, const std::string& name,
                std::vector<SafetensorsTensor>& tensors);
// INVALID_ARGUMENT where columns do not ascend or reach `columns`, or a value is not finite.
absl::StatusOr<SparseRows> ReadRows(const Safetensors& file, const std::string& path,
                                    const std::string& name, size_t columns);

}  // namespace penstock::router
