#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/gmu/gmu.h"

namespace penstock::kernels {
namespace {

// h = m * silu(h).
void GateMemory(const float* memory, int64_t stride, int64_t rows, int64_t dm, float* h) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* m = memory + row * stride;
    float* z = h + row * dm;
    int64_t i = 0;
    for (; i + Simd::kLanes <= dm; i += Simd::kLanes) {
      const Simd::V value = Simd::Load(z + i);
      Simd::Store(z + i, Simd::Mul(Simd::Load(m + i), Simd::Mul(value, Sigmoid(value))));
    }
    if (i < dm) {
      const Simd::V value = Simd::LoadPart(z + i, dm - i, Simd::Zero());
      const Simd::V part = Simd::LoadPart(m + i, dm - i, Simd::Zero());
      Simd::StorePart(z + i, dm - i, Simd::Mul(part, Simd::Mul(value, Sigmoid(value))));
    }
  }
}

Status GmuRows(const GmuArgs& args, Status (*linear)(const LinearArgs&)) {
  Status status = CheckGmu(args);
  const LinearWeights& in = args.w.in;
  const LinearWeights& out = args.w.out;
  if (status.code != Code::kOk || args.rows == 0 || out.out == 0) return status;
  const int64_t stride = args.memory_stride != 0 ? args.memory_stride : in.out;
  const int64_t block = args.rows < kGmuRowBlock ? args.rows : kGmuRowBlock;
  char* at = WorkspaceStart(args.workspace);
  float* h = TakeFloats(&at, block * in.out);
  const Workspace scratch = {at, GmuLinearBytes(args.w, block)};
  for (int64_t row = 0; row < args.rows; row += block) {
    const int64_t rows = args.rows - row < block ? args.rows - row : block;
    status = linear({in, rows, args.x + row * in.in, in.in, h, in.out, nullptr, scratch});
    if (status.code != Code::kOk) return status;
    GateMemory(args.memory + row * stride, stride, rows, in.out, h);
    status = linear({out, rows, h, in.out, args.y + row * out.out, out.out, nullptr, scratch});
    if (status.code != Code::kOk) return status;
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
