#include "kernels/scan_int8/scan_int8.h"

namespace penstock::kernels {

Status ScanInt8Reference(const ScanInt8Args& args) {
  if (const Status status = CheckScanInt8(args); !status.ok()) return status;
  for (int64_t row = 0; row < args.rows; ++row) {
    int32_t sum = 0;
    for (int64_t k = 0; k < args.width; ++k)
      sum += args.codes[row * args.width + k] * args.query[k];
    args.dots[row] = sum;
  }
  return {};
}

}  // namespace penstock::kernels
