#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

inline constexpr int64_t kMostScanWidth = 65536;  // of -128 * -128 so many fit an int32

// dot[row] = sum_k code[row, k] * query[k], exact: how alike a query is to every row of a table
// whose entries were rounded to eight bits.
struct ScanInt8Args {
  int64_t rows = 0;
  int64_t width = 0;              // at most kMostScanWidth
  const int8_t* codes = nullptr;  // [rows, width]
  const int8_t* query = nullptr;  // [width]
  int32_t* dots = nullptr;        // out [rows]
};

struct ScanInt8Impl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const ScanInt8Args&);
};

std::span<const ScanInt8Impl> ScanInt8Impls();
Status ScanInt8(const ScanInt8Args& args);
Cost ScanInt8Cost(int64_t rows, int64_t width);
Status CheckScanInt8(const ScanInt8Args& args);

Status ScanInt8Reference(const ScanInt8Args& args);
Status ScanInt8Avx2(const ScanInt8Args& args);
Status ScanInt8Avx512(const ScanInt8Args& args);

}  // namespace penstock::kernels
