#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

// The down projection of an MLP whose activations are mostly zero (DEFT, arXiv:2402.01911):
//   y = sum over j with |h_j| > threshold of h_j w[j, :], in the order of j, one fused
// multiply-add each. Weights stand by input, so that an activation that does not count costs no
// byte of them. threshold 0 is exact; above it the error is at most threshold * sum |w[j, :]| over
// the activations left out. NaN counts as above every threshold.
struct SparseDownArgs {
  int64_t rows = 0;
  int64_t f = 0;
  int64_t d = 0;
  float threshold = 0;        // at least 0, finite
  const float* h = nullptr;   // [rows, f]
  const float* w = nullptr;   // [f, d]
  float* y = nullptr;         // out [rows, d]; must not overlap h or w
  int64_t* active = nullptr;  // added to: activations that count; or null
};

struct SparseDownImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const SparseDownArgs&);
};

std::span<const SparseDownImpl> SparseDownImpls();
Status SparseDown(const SparseDownArgs& args);
// active: activations that count; read: rows of w that any row needs.
Cost SparseDownCost(int64_t rows, int64_t f, int64_t d, int64_t active, int64_t read);
Status CheckSparseDown(const SparseDownArgs& args);

Status SparseDownReference(const SparseDownArgs& args);
Status SparseDownAvx2(const SparseDownArgs& args);
Status SparseDownAvx512(const SparseDownArgs& args);

}  // namespace penstock::kernels
