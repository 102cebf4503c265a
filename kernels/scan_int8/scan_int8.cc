#include "kernels/scan_int8/scan_int8.h"

namespace penstock::kernels {
namespace {

constexpr ScanInt8Impl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, ScanInt8Avx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, ScanInt8Avx2},
    {"reference", Isa::kReference, AlwaysSupported, ScanInt8Reference},
};

}  // namespace

Cost ScanInt8Cost(int64_t rows, int64_t width) {
  const double n = static_cast<double>(rows) * static_cast<double>(width);
  return {2 * n, n + static_cast<double>(width) + 4 * static_cast<double>(rows)};
}

Status CheckScanInt8(const ScanInt8Args& args) {
  if (args.rows < 0 || args.width < 0) return {Code::kInvalidArgument, "scan_int8: negative size"};
  if (args.width > kMostScanWidth) {
    return {Code::kInvalidArgument, "scan_int8: width is above 65536"};
  }
  if (args.rows == 0) return {};
  if (args.dots == nullptr ||
      (args.width > 0 && (args.codes == nullptr || args.query == nullptr))) {
    return {Code::kInvalidArgument, "scan_int8: null operand"};
  }
  return {};
}

std::span<const ScanInt8Impl> ScanInt8Impls() { return kImpls; }

Status ScanInt8(const ScanInt8Args& args) { return ForOp(ScanInt8Impls()).run(args); }

}  // namespace penstock::kernels
