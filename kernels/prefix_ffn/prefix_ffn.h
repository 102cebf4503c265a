#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"
#include "kernels/device/workspace.h"
#include "kernels/linear/linear.h"

namespace penstock::kernels {

enum class PrefixActivation : uint8_t {
  kRelu,      // max(z, 0)
  kSilu,      // z / (1 + exp(-z))
  kGeluTanh,  // z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))
  kGeluErf,   // z/2 (1 + erf(z / sqrt 2))
};

struct PrefixLearner {
  LinearWeights in;   // [r, d]
  LinearWeights out;  // [o, r]
};

// View of one adaptive layer.
struct PrefixFfnWeights {
  const PrefixLearner* learners = nullptr;  // [count], all of one r
  int64_t count = 0;
  int64_t d = 0;
  int64_t r = 0;
  int64_t o = 0;
  PrefixActivation activation = PrefixActivation::kGeluErf;
  const float* base = nullptr;  // [o], or null: 0
};

class PackedPrefixFfn {
 public:
  PackedPrefixFfn() = default;
  // in [count, r, d], in_bias [count, r]; out [count, o, r], out_bias [count, o]; base [o]. Biases
  // and base may be null. Copies all.
  PackedPrefixFfn(const float* in, const float* in_bias, const float* out, const float* out_bias,
                  const float* base, int64_t count, int64_t d, int64_t r, int64_t o,
                  PrefixActivation activation);

  PrefixFfnWeights weights() const;
  size_t bytes() const;

 private:
  std::vector<PackedLinear> matrices_;  // in and out of each learner by turns
  std::vector<PrefixLearner> learners_;
  std::vector<float> base_;
  PrefixFfnWeights weights_;
};

// A layer of adaptive width: `count` small learners, of which a row runs the first `width`
// (Adaptive Computation Modules, arXiv:2312.10193):
//   y = base + sum_{i < width} (act(x In_i + a_i) Out_i + b_i), added in the order of i.
// Widths below 0 mean 0, above count mean count. Rows are grouped by width, so that learner i runs
// once over all rows that want it, 96 at a time; a learner that no row wants is not touched.
struct PrefixFfnArgs {
  PrefixFfnWeights w;
  int64_t rows = 0;                 // below 2^31
  const float* x = nullptr;         // [rows, d]
  const int32_t* width = nullptr;   // [rows]
  float* y = nullptr;               // out [rows, o]; must not overlap x
  int64_t* learners_run = nullptr;  // added to: sum of widths, the cost; or null
  Workspace workspace;
};

struct PrefixFfnImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const PrefixFfnArgs&);
};

std::span<const PrefixFfnImpl> PrefixFfnImpls();
Status PrefixFfn(const PrefixFfnArgs& args);
size_t PrefixFfnWorkspaceBytes(const PrefixFfnWeights& w, int64_t rows);
// run: sum of widths; most: the largest.
Cost PrefixFfnCost(const PrefixFfnWeights& w, int64_t rows, int64_t run, int64_t most);
Status CheckPrefixFfn(const PrefixFfnArgs& args);

// Scratch that the products of a block of rows need, one after the other.
size_t PrefixFfnLinearBytes(const PrefixFfnWeights& w, int64_t rows);

// Rows per pass: as of gated_mlp.
inline constexpr int64_t kPrefixRowBlock = 96;

Status PrefixFfnReference(const PrefixFfnArgs& args);
Status PrefixFfnAvx2(const PrefixFfnArgs& args);
Status PrefixFfnAvx512(const PrefixFfnArgs& args);

}  // namespace penstock::kernels
