#include "kernels/compact_rows/compact_rows.h"

#include <cstring>
#include <limits>

namespace penstock::kernels {
namespace {

constexpr CompactRowsImpl kImpls[] = {
    {"reference", Isa::kReference, AlwaysSupported, CompactRowsReference},
};

}  // namespace

Cost CompactRowsCost(int64_t rows, int64_t kept, int64_t dim) {
  const double n = static_cast<double>(kept);
  return {0, static_cast<double>(rows) + n * (8 * static_cast<double>(dim) + 4)};
}

Status CheckCompactRows(const CompactRowsArgs& args) {
  if (args.rows < 0 || args.dim < 0) return {Code::kInvalidArgument, "compact_rows: negative size"};
  if (args.rows > std::numeric_limits<int32_t>::max()) {
    return {Code::kUnsupported, "compact_rows: more than 2^31 - 1 rows"};
  }
  if (args.kept == nullptr) return {Code::kInvalidArgument, "compact_rows: null operand"};
  if (args.rows == 0) return {};
  if (args.keep == nullptr || args.index == nullptr ||
      (args.dim > 0 && (args.x == nullptr || args.y == nullptr))) {
    return {Code::kInvalidArgument, "compact_rows: null operand"};
  }
  return {};
}

std::span<const CompactRowsImpl> CompactRowsImpls() { return kImpls; }

Status CompactRows(const CompactRowsArgs& args) { return ForOp(CompactRowsImpls()).run(args); }

Status RestoreRows(const RestoreRowsArgs& args) {
  if (args.rows < 0 || args.kept < 0 || args.dim < 0) {
    return {Code::kInvalidArgument, "restore_rows: negative size"};
  }
  if (args.kept == 0 || args.dim == 0) return {};
  if (args.x == nullptr || args.index == nullptr || args.y == nullptr) {
    return {Code::kInvalidArgument, "restore_rows: null operand"};
  }
  for (int64_t j = 0; j < args.kept; ++j) {
    if (args.index[j] < 0 || args.index[j] >= args.rows) {
      return {Code::kInvalidArgument, "restore_rows: an index is no row"};
    }
  }
  for (int64_t j = 0; j < args.kept; ++j) {
    std::memcpy(args.y + args.index[j] * args.dim, args.x + j * args.dim,
                static_cast<size_t>(args.dim) * sizeof(float));
  }
  return {};
}

}  // namespace penstock::kernels
