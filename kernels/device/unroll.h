#pragma once

// Unrolls the loop that follows whole: the only way that an array of vectors stays in registers.
#if defined(__clang__)
#define PENSTOCK_UNROLL _Pragma("unroll")
#else
#define PENSTOCK_UNROLL _Pragma("GCC unroll 16")
#endif
