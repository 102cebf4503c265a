#include "kernels/moe_ffn/cuda/device_moe.h"

#include <algorithm>
#include <limits>

#include "kernels/moe_ffn/cuda/moe_steps.h"

namespace penstock::kernels {
namespace {

// What the workspace holds, in bytes from its start. Room for the smallest tiles, so that one size
// serves every tiling.
struct WorkspaceLayout {
  size_t ends = 0;   // [experts]
  size_t count = 0;  // one
  size_t tiles = 0;
  size_t h = 0;          // [pairs][f_stride]
  size_t pair_rows = 0;  // [pairs][PairStride]
  size_t bytes = 0;
};

int64_t PairStride(const ExpertLayout& layout) { return (layout.o + 3) / 4 * 4; }

WorkspaceLayout LayOut(const ExpertLayout& layout, int64_t pairs) {
  WorkspaceLayout at;
  const auto take = [&](int64_t bytes) {
    const size_t start = at.bytes;
    at.bytes += ExpertLayout::Aligned(bytes);
    return start;
  };
  at.ends = take(4 * layout.experts);
  at.count = take(4);
  at.tiles = take(static_cast<int64_t>(sizeof(TokenTile)) *
                  MostTokenTiles(pairs, layout.experts, kGemvTokens));
  at.h = take(2 * pairs * layout.f_stride());
  at.pair_rows = take(4 * pairs * PairStride(layout));
  return at;
}

bool IsAligned(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

// Items of a product: tiles times blocks of 128 weight rows, or times warps' units of 4.
int64_t ItemsOf(const MoeTiling& tiling, int64_t tiles, int64_t w_rows) {
  const int64_t rows =
      tiling.regime == MoeRegime::kStream ? kGemvWeightRows : ExpertGemmShape<128>::kWeightRows;
  return tiles * ((w_rows + rows - 1) / rows);
}

}  // namespace

size_t MoeDeviceWorkspaceBytes(const ExpertLayout& layout, int64_t rows, int64_t k) {
  return LayOut(layout, rows * k).bytes;
}

Status CheckMoeDevice(const ExpertLayout& layout, const MoeDeviceArgs& args) {
  if (args.rows < 0 || args.k < 0) return {Code::kInvalidArgument, "moe_ffn device: negative size"};
  if (!IsMoeTiling(args.tiling)) return {Code::kInvalidArgument, "moe_ffn device: no such tiling"};
  if (args.rows == 0 || layout.o == 0) return {};
  if (args.k > 0 && args.rows > std::numeric_limits<int32_t>::max() / args.k) {
    return {Code::kInvalidArgument, "moe_ffn device: more pairs than int32 counts"};
  }
  if (args.y == nullptr || args.offsets == nullptr || (layout.d > 0 && args.x == nullptr) ||
      (args.k > 0 && (args.src == nullptr || args.dst == nullptr || args.weights == nullptr))) {
    return {Code::kInvalidArgument, "moe_ffn device: null operand"};
  }
  if (args.x_stride < layout.d || args.x_stride % 8 != 0 || !IsAligned(args.x, 16)) {
    return {Code::kInvalidArgument, "moe_ffn device: rows of x must stand on 16 bytes"};
  }
  // Places in x and h are 32-bit numbers of 16 bytes.
  constexpr int64_t kMostElements = int64_t{1} << 34;
  if (args.rows * args.x_stride > kMostElements ||
      args.rows * args.k * layout.f_stride() > kMostElements) {
    return {Code::kInvalidArgument, "moe_ffn device: more than 32 GiB of x or h"};
  }
  // A tile's 128 rows and the items of a product are counted in 32 bits.
  constexpr int64_t kWidest = int64_t{1} << 23;
  if (std::max({layout.d, layout.f, layout.o}) > kWidest) {
    return {Code::kInvalidArgument, "moe_ffn device: rows too wide"};
  }
  const int64_t tiles = MostTokenTiles(args.rows * args.k, layout.experts, args.tiling.tokens);
  constexpr int64_t kMostItems = int64_t{1} << 30;
  if (ItemsOf(args.tiling, tiles, std::max(layout.gate_up_rows(), layout.o)) > kMostItems) {
    return {Code::kInvalidArgument, "moe_ffn device: too many tiles"};
  }
  if (args.workspace == nullptr || !IsAligned(args.workspace, kMoeDeviceAlign) ||
      args.workspace_bytes < MoeDeviceWorkspaceBytes(layout, args.rows, args.k)) {
    return {Code::kInvalidArgument, "moe_ffn device: workspace too small or not aligned"};
  }
  return {};
}

MoeSteps StepsOf(const ExpertLayout& layout, const char* weights, const MoeDeviceArgs& args) {
  const int64_t pairs = args.rows * args.k;
  const WorkspaceLayout at = LayOut(layout, pairs);
  char* scratch = static_cast<char*>(args.workspace);
  auto* tiles = reinterpret_cast<TokenTile*>(scratch + at.tiles);
  auto* count = reinterpret_cast<int32_t*>(scratch + at.count);
  auto* h = reinterpret_cast<uint16_t*>(scratch + at.h);
  auto* pair_rows = reinterpret_cast<float*>(scratch + at.pair_rows);
  const int64_t most = MostTokenTiles(pairs, layout.experts, args.tiling.tokens);

  MoeSteps steps;
  steps.tiles = {args.offsets,
                 layout.experts,
                 pairs,
                 most,
                 args.tiling.tokens,
                 reinterpret_cast<int32_t*>(scratch + at.ends),
                 tiles,
                 count};

  ExpertProduct product;
  product.tiles = tiles;
  product.tile_count = count;
  product.src = args.src;
  product.pairs = pairs;
  product.k = args.k;

  ExpertProduct& gate_up = steps.gate_up = product;
  gate_up.x = args.x;
  gate_up.x_stride = args.x_stride;
  gate_up.x_width = layout.d;
  gate_up.w = reinterpret_cast<const uint16_t*>(weights + layout.gate_up());
  gate_up.bias = reinterpret_cast<const float*>(weights + layout.gate_up_bias());
  gate_up.w_rows = layout.gate_up_rows();
  gate_up.w_stride = layout.d_stride();
  gate_up.activations = reinterpret_cast<const uint8_t*>(weights + layout.activations());
  gate_up.h = h;
  gate_up.y_stride = layout.f_stride();

  ExpertProduct& down = steps.down = product;
  down.x = h;
  down.x_stride = layout.f_stride();
  down.x_width = layout.f_stride();
  down.w = reinterpret_cast<const uint16_t*>(weights + layout.down());
  down.bias = reinterpret_cast<const float*>(weights + layout.down_bias());
  down.w_rows = layout.o;
  down.w_stride = layout.f_stride();
  down.weights = args.weights;
  down.y = pair_rows;
  down.y_stride = PairStride(layout);

  steps.sums = {args.rows,
                args.k,
                layout.o,
                pair_rows,
                PairStride(layout),
                args.dst,
                args.offsets + layout.experts,
                args.residual,
                args.y};
  steps.gate_up_items = ItemsOf(args.tiling, most, gate_up.w_rows);
  steps.down_items = ItemsOf(args.tiling, most, down.w_rows);
  steps.sum_items = args.rows * ((layout.o + kRowThreads - 1) / kRowThreads);
  return steps;
}

}  // namespace penstock::kernels
