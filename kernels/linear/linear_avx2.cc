#include "kernels/device/simd_avx2.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/linear_formats.h"
#include "kernels/linear/linear_tiles.h"

namespace penstock::kernels {
namespace {

// 16 registers: rows * panels * 2 accumulators (at most 12, half with scales), 2 a panel (4 where a
// line holds several inputs) and one for x. With one row of float32 the panels are memory operands,
// which leaves room for four.
template <class S>
struct Tables {
  static constexpr auto Plain() {
    if constexpr (S::kSteps > 1) {
      return TileTable<2, 5>{{
          {nullptr, Tile<S, 1, 1>, Tile<S, 2, 1>, Tile<S, 3, 1>, Tile<S, 4, 1>, Tile<S, 5, 1>},
          {nullptr, Tile<S, 1, 2>, Tile<S, 2, 2>},
      }};
    } else {
      return TileTable<3, 6>{{
          {nullptr, Tile<S, 1, 1>, Tile<S, 2, 1>, Tile<S, 3, 1>, Tile<S, 4, 1>, Tile<S, 5, 1>,
           Tile<S, 6, 1>},
          {nullptr, Tile<S, 1, 2>, Tile<S, 2, 2>},
          {nullptr, Tile<S, 1, 4>},
      }};
    }
  }
  static constexpr auto kPlain = Plain();
  static constexpr TileTable<1, 3> kScaled = {{
      {nullptr, Tile<S, 1, 1>, Tile<S, 2, 1>, Tile<S, 3, 1>},
  }};
};

}  // namespace

Status LinearAvx2(const LinearArgs& args) { return RunFormat<Tables>(args); }

}  // namespace penstock::kernels
