#include "kernels/device/simd_avx2.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/linear_tiles.h"

namespace penstock::kernels {
namespace {

// 16 registers: rows * panels * 2 accumulators (at most 12), 2 a panel and one for x. With one row
// the panels are memory operands, which leaves room for four.
constexpr TileTable<3, 6> kTiles = {{
    {nullptr, Tile<1, 1>, Tile<2, 1>, Tile<3, 1>, Tile<4, 1>, Tile<5, 1>, Tile<6, 1>},
    {nullptr, Tile<1, 2>, Tile<2, 2>},
    {nullptr, Tile<1, 4>},
}};

}  // namespace

Status LinearAvx2(const LinearArgs& args) { return RunTiles(args, kTiles); }

}  // namespace penstock::kernels
