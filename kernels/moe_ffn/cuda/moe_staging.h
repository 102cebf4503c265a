#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/moe_ffn/cuda/packed_experts.h"
#include "kernels/moe_ffn/cuda/regime.h"

namespace penstock::kernels {

// What a call of moe_ffn with operands of the host's looks like to the device.
struct MoeCallShape {
  int64_t rows = 0;
  int64_t k = 0;
  bool residual = false;
  MoeTiling tiling;

  bool operator==(const MoeCallShape& other) const {
    return rows == other.rows && k == other.k && residual == other.residual &&
           tiling.regime == other.tiling.regime && tiling.tokens == other.tiling.tokens;
  }
};

// Where its operands stand in one piece of memory, in bytes from the start. The host has a mirror
// of the first `mirrored` bytes: what it gives is one copy to the device, and y one copy back.
struct MoeStaging {
  size_t offsets = 0;   // int32 [experts + 1]
  size_t src = 0;       // int32 [rows * k]
  size_t dst = 0;       // int32 [rows * k]
  size_t weights = 0;   // float [rows, k]
  size_t x = 0;         // float [rows, d]
  size_t residual = 0;  // float [rows, o]
  size_t given = 0;     // the end of these
  size_t y = 0;         // float [rows, o]
  size_t mirrored = 0;
  size_t rounded = 0;  // bfloat16 [rows, d_stride]
  size_t workspace = 0;
  size_t workspace_bytes = 0;
  size_t bytes = 0;
};
MoeStaging StagingOf(const ExpertLayout& layout, const MoeCallShape& shape);

// The tiling for a plan that the host knows: `offsets` [experts + 1].
MoeTiling TilingOf(const ExpertLayout& layout, const int32_t* offsets, GpuArch arch);

}  // namespace penstock::kernels
