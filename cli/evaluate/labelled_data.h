#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::cli {

// Inputs with known answers: a raw little-endian fp32 matrix [rows, dimension] and a byte a row.
struct LabelledData {
  size_t rows = 0;
  size_t dimension = 0;
  std::vector<float> inputs;
  std::vector<uint8_t> labels;
};

// INVALID_ARGUMENT when the files do not fit together; `limit` > 0 keeps the first rows.
absl::StatusOr<LabelledData> ReadLabelledData(const std::string& inputs_file,
                                              const std::string& labels_file, size_t dimension,
                                              size_t limit);

}  // namespace penstock::cli
