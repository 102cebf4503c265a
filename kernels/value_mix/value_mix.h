#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"
#include "kernels/device/workspace.h"

namespace penstock::kernels {

// Value embeddings of a bank that all layers share, mixed into a layer's values (MoVE,
// arXiv:2601.22887): with g = 2 / (1 + exp(-gate)),
//   v[t, h] = g[t, h, 0] v[t, h] + sum_{m = 1..slots} g[t, h, m] bank[token[t], m - 1, h]
// the product first, then a fused multiply-add a slot in the order of m. Gates are logits, as
// `linear` makes them of the layer's input. Refuses a token outside the vocabulary, and then
// writes nothing.
struct ValueMixArgs {
  int64_t rows = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t slots = 0;
  int64_t vocabulary = 0;
  const float* bank = nullptr;     // [vocabulary, slots, heads * head_dim]
  const int32_t* token = nullptr;  // [rows]
  const float* gates = nullptr;    // [rows, heads, slots + 1]
  float* v = nullptr;              // in, out [rows, heads * head_dim]
  Workspace workspace;
};

struct ValueMixImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const ValueMixArgs&);
};

std::span<const ValueMixImpl> ValueMixImpls();
Status ValueMix(const ValueMixArgs& args);
size_t ValueMixWorkspaceBytes(int64_t heads, int64_t slots);
Cost ValueMixCost(int64_t rows, int64_t heads, int64_t head_dim, int64_t slots);
Status CheckValueMix(const ValueMixArgs& args);

Status ValueMixReference(const ValueMixArgs& args);
Status ValueMixAvx2(const ValueMixArgs& args);
Status ValueMixAvx512(const ValueMixArgs& args);

}  // namespace penstock::kernels
