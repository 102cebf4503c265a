#pragma once

#include "kernels/device/simt.h"

namespace penstock::kernels {

// Tensor-core product of 128 rows of an expert's weights with kTokens of its rows, by mma.sync of
// sm_80. Weights are the left operand whatever kTokens: few tokens fill the 8 columns of a fragment
// where they would waste most of its 16 rows. Each element is one chain of fragments over k, so its
// bits are the same for every kTokens, and do not depend on the other rows.
template <int kTokens>
struct ExpertGemmShape {
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / kWarpLanes;
  static constexpr int kWeightRows = 128;
  static constexpr int kDepth = 64;  // inputs a stage: rows of 128 bytes, eight 16-byte chunks
  static constexpr int kChunks = kDepth / 8;

  // Warps as a grid over [weight rows, tokens], and the fragments of 16 x 8 of one.
  static constexpr int kWarpsAcross = kTokens > 32 ? kTokens / 32 : 1;
  static constexpr int kWarpsDown = kWarps / kWarpsAcross;
  static constexpr int kWarpRows = kWeightRows / kWarpsDown;
  static constexpr int kWarpTokens = kTokens / kWarpsAcross;
  static constexpr int kFragmentsDown = kWarpRows / 16;
  static constexpr int kFragmentsAcross = kWarpTokens / 8;

  // Two blocks share the 227 KiB of sm_90, and of sm_80's 163 KiB where they hold at most 80 KiB.
  static constexpr int kStages = kTokens > 32 ? 3 : 4;
  static constexpr int kWeightBytes = kWeightRows * kDepth * 2;
  static constexpr int kStageBytes = kWeightBytes + kTokens * kDepth * 2;
  // The results pass through the same memory, token by token; 4 floats more than 128 put the
  // tokens of a fragment 8 banks apart.
  static constexpr int kPitch = kWeightRows + 4;
  static constexpr int kSharedBytes = kStages * kStageBytes;
  static_assert(kTokens * kPitch * 4 <= kSharedBytes);
};

// Byte of a 16-byte chunk in a tile of rows of 128 bytes. The eight rows that ldmatrix reads at one
// chunk, and the eight chunks of a row, lie in different banks.
inline constexpr int kRowBytes = 128;
PENSTOCK_HOST_AND_SIMT constexpr int SwizzledByte(int row, int chunk) {
  return row * kRowBytes + (chunk ^ (row % 8)) * 16;
}
// SwizzledByte(row, chunk + more) from SwizzledByte(row, chunk), for chunk 0 or 1 and an even
// `more`; also of a tile that begins at a multiple of 128. One register serves all chunks of a row.
PENSTOCK_HOST_AND_SIMT constexpr int ChunkFurther(int byte, int more) { return byte ^ more * 16; }

// Where a lane's four results stand in a fragment [16 weight rows, 8 tokens].
PENSTOCK_HOST_AND_SIMT constexpr int FragmentRow(int lane, int i) { return lane / 4 + i / 2 * 8; }
PENSTOCK_HOST_AND_SIMT constexpr int FragmentToken(int lane, int i) { return lane % 4 * 2 + i % 2; }

}  // namespace penstock::kernels
