#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

// The rows that stay move together, in order: y[j] = x[index[j]], index ascending over the rows
// with keep != 0. For the rest of a batch after an exit_gate.
struct CompactRowsArgs {
  int64_t rows = 0;  // below 2^31
  int64_t dim = 0;
  const float* x = nullptr;       // [rows, dim]
  const uint8_t* keep = nullptr;  // [rows]
  float* y = nullptr;             // out [kept, dim]; may be x, else must not overlap it
  int32_t* index = nullptr;       // out [kept]
  int64_t* kept = nullptr;        // out
};

struct CompactRowsImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const CompactRowsArgs&);
};

std::span<const CompactRowsImpl> CompactRowsImpls();
Status CompactRows(const CompactRowsArgs& args);
Cost CompactRowsCost(int64_t rows, int64_t kept, int64_t dim);
Status CheckCompactRows(const CompactRowsArgs& args);

Status CompactRowsReference(const CompactRowsArgs& args);

// The way back: y[index[j]] = x[j]; other rows of y stay. Refuses an index outside 0 .. rows - 1,
// and then writes nothing.
struct RestoreRowsArgs {
  int64_t rows = 0;  // of y
  int64_t kept = 0;
  int64_t dim = 0;
  const float* x = nullptr;        // [kept, dim]
  const int32_t* index = nullptr;  // [kept]
  float* y = nullptr;              // [rows, dim]; must not overlap x
};

Status RestoreRows(const RestoreRowsArgs& args);

}  // namespace penstock::kernels
