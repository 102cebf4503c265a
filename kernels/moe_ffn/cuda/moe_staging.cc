#include "kernels/moe_ffn/cuda/moe_staging.h"

#include "kernels/moe_ffn/cuda/device_moe.h"

namespace penstock::kernels {

MoeStaging StagingOf(const ExpertLayout& layout, const MoeCallShape& shape) {
  MoeStaging at;
  const auto take = [&](int64_t bytes) {
    const size_t start = at.bytes;
    at.bytes += ExpertLayout::Aligned(bytes);
    return start;
  };
  const int64_t slots = shape.rows * shape.k, outputs = shape.rows * layout.o;
  at.offsets = take(4 * (layout.experts + 1));
  at.src = take(4 * slots);
  at.dst = take(4 * slots);
  at.weights = take(4 * slots);
  at.x = take(4 * shape.rows * layout.d);
  at.residual = take(shape.residual ? 4 * outputs : 0);
  at.given = at.bytes;
  at.y = take(4 * outputs);
  at.mirrored = at.bytes;
  at.rounded = take(2 * shape.rows * layout.d_stride());
  at.workspace_bytes = MoeDeviceWorkspaceBytes(layout, shape.rows, shape.k);
  at.workspace = take(static_cast<int64_t>(at.workspace_bytes));
  return at;
}

MoeTiling TilingOf(const ExpertLayout& layout, const int32_t* offsets, GpuArch arch) {
  MoeWork work;
  work.pairs = offsets[layout.experts];
  for (int64_t e = 0; e < layout.experts; ++e) work.active += offsets[e] < offsets[e + 1] ? 1 : 0;
  work.d = layout.d;
  work.f = layout.f;
  work.o = layout.o;
  return PickMoeTiling(work, arch);
}

}  // namespace penstock::kernels
