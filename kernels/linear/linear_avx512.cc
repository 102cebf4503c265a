#include "kernels/device/simd_avx512.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/linear_tiles.h"

namespace penstock::kernels {
namespace {

// 32 registers: rows * panels accumulators (at most 24) and a register a panel.
constexpr TileTable<4, 12> kTiles = {{
    {nullptr, Tile<1, 1>, Tile<2, 1>, Tile<3, 1>, Tile<4, 1>, Tile<5, 1>, Tile<6, 1>, Tile<7, 1>,
     Tile<8, 1>, Tile<9, 1>, Tile<10, 1>, Tile<11, 1>, Tile<12, 1>},
    {nullptr, Tile<1, 2>, Tile<2, 2>, Tile<3, 2>, Tile<4, 2>, Tile<5, 2>, Tile<6, 2>, Tile<7, 2>,
     Tile<8, 2>, Tile<9, 2>, Tile<10, 2>, Tile<11, 2>, Tile<12, 2>},
    {nullptr, Tile<1, 4>, Tile<2, 4>, Tile<3, 4>, Tile<4, 4>, Tile<5, 4>, Tile<6, 4>},
    {nullptr, Tile<1, 8>, Tile<2, 8>},
}};

}  // namespace

Status LinearAvx512(const LinearArgs& args) { return RunTiles(args, kTiles); }

}  // namespace penstock::kernels
