#pragma once

namespace penstock::expert {

// Joules of a request from counts, where no counter knows better:
//   E = e_request + e_flop * flops + e_byte * weight bytes,
// weight bytes divided equally among the requests that shared the execution. Idle power is apart.
struct EnergyModel {
  double joules_per_request = 0.0006;  // 60 us of a 10 W core: receive, batch, answer
  double joules_per_flop = 2e-10;      // 10 W at 50 GFLOP/s
  double joules_per_byte = 2e-10;      // 4 W at 20 GB/s

  double Joules(double flops, double weight_bytes) const {
    return joules_per_request + joules_per_flop * flops + joules_per_byte * weight_bytes;
  }
};

}  // namespace penstock::expert
