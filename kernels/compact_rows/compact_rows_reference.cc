#include <cstring>

#include "kernels/compact_rows/compact_rows.h"

namespace penstock::kernels {

// memcpy already moves whole vectors: no vector entry would pay.
Status CompactRowsReference(const CompactRowsArgs& args) {
  const Status status = CheckCompactRows(args);
  if (!status.ok()) return status;
  int64_t kept = 0;
  for (int64_t row = 0; row < args.rows; ++row) {
    if (args.keep[row] == 0) continue;
    float* to = args.y + kept * args.dim;
    const float* from = args.x + row * args.dim;
    // In place a row moves up or stays: it overwrites rows that have moved already.
    if (args.dim > 0 && to != from) {
      std::memcpy(to, from, static_cast<size_t>(args.dim) * sizeof(float));
    }
    args.index[kept++] = static_cast<int32_t>(row);
  }
  *args.kept = kept;
  return status;
}

}  // namespace penstock::kernels
