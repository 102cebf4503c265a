#include "kernels/device/simd_avx512.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/linear_formats.h"
#include "kernels/linear/linear_tiles.h"

namespace penstock::kernels {
namespace {

// 32 registers: rows * panels accumulators (at most 24, half with scales) and a register a panel, or
// two where a line holds several inputs.
template <class S>
struct Tables {
  static constexpr TileFunction kLargest = S::kSteps == 1 ? Tile<S, 6, 4> : nullptr;
  static constexpr TileTable<4, 12> kPlain = {{
      {nullptr, Tile<S, 1, 1>, Tile<S, 2, 1>, Tile<S, 3, 1>, Tile<S, 4, 1>, Tile<S, 5, 1>,
       Tile<S, 6, 1>, Tile<S, 7, 1>, Tile<S, 8, 1>, Tile<S, 9, 1>, Tile<S, 10, 1>, Tile<S, 11, 1>,
       Tile<S, 12, 1>},
      {nullptr, Tile<S, 1, 2>, Tile<S, 2, 2>, Tile<S, 3, 2>, Tile<S, 4, 2>, Tile<S, 5, 2>,
       Tile<S, 6, 2>, Tile<S, 7, 2>, Tile<S, 8, 2>, Tile<S, 9, 2>, Tile<S, 10, 2>, Tile<S, 11, 2>,
       Tile<S, 12, 2>},
      {nullptr, Tile<S, 1, 4>, Tile<S, 2, 4>, Tile<S, 3, 4>, Tile<S, 4, 4>, Tile<S, 5, 4>,
       kLargest},
      {nullptr, Tile<S, 1, 8>, Tile<S, 2, 8>},
  }};
  static constexpr TileTable<3, 6> kScaled = {{
      {nullptr, Tile<S, 1, 1>, Tile<S, 2, 1>, Tile<S, 3, 1>, Tile<S, 4, 1>, Tile<S, 5, 1>,
       Tile<S, 6, 1>},
      {nullptr, Tile<S, 1, 2>, Tile<S, 2, 2>, Tile<S, 3, 2>, Tile<S, 4, 2>, Tile<S, 5, 2>,
       Tile<S, 6, 2>},
      {nullptr, Tile<S, 1, 4>, Tile<S, 2, 4>},
  }};
};

}  // namespace

Status LinearAvx512(const LinearArgs& args) { return RunFormat<Tables>(args); }

}  // namespace penstock::kernels
