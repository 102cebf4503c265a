#pragma once

namespace penstock::kernels {

// Work of one call: a multiply-add counts as 2 flops; bytes are the least that must cross the
// memory bus (each operand once). double: a large model overflows no counter.
struct Cost {
  double flops = 0;
  double bytes = 0;
};

}  // namespace penstock::kernels
