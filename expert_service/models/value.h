#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock::expert {

// What a value between two blocks consists of; every kind takes four bytes.
enum class Element : uint8_t {
  kFloat,  // float
  kId,     // int32_t, an index into an embedding
  kLabel,  // int32_t, an index into the names of `labels`
};

inline constexpr int64_t kNoPositions = 0;
inline constexpr int64_t kVariablePositions = -1;  // only at load: every request brings its own

// [rows, dim], or [rows, positions, dim] where there are positions.
struct ValueShape {
  int64_t rows = 0;
  int64_t positions = kNoPositions;
  int64_t dim = 0;
  Element element = Element::kFloat;

  bool has_positions() const { return positions != kNoPositions; }
  // Vectors of `dim`.
  int64_t vectors() const { return has_positions() ? rows * positions : rows; }
  int64_t elements() const { return vectors() * dim; }
  size_t bytes() const { return static_cast<size_t>(elements()) * sizeof(float); }
};

// "[rows, 49, 64]", for messages.
inline std::string DescribeValue(const ValueShape& shape) {
  switch (shape.element) {
    case Element::kId:
      return "ids";
    case Element::kLabel:
      return "labels";
    case Element::kFloat:
      break;
  }
  if (!shape.has_positions()) return absl::StrCat("[rows, ", shape.dim, "]");
  return absl::StrCat("[rows, ", shape.positions == kVariablePositions ? "positions" : "",
                      shape.positions == kVariablePositions ? "" : absl::StrCat(shape.positions),
                      ", ", shape.dim, "]");
}

// A value in a worker's arena; not owned.
struct Value {
  ValueShape shape;
  void* data = nullptr;

  float* floats() const { return static_cast<float*>(data); }
  int32_t* ids() const { return static_cast<int32_t*>(data); }
};

}  // namespace penstock::expert
