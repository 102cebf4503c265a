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

// Of a chosen pair.
enum class SinkhornWeight : uint8_t {
  kPlan,     // P_te / r_t
  kSoftmax,  // softmax of the row's logits over the experts that it may use, without temperature
  kSigmoid,  // 1 / (1 + exp(-L_te))
};

inline constexpr int64_t kMaxSinkhornSlots = int64_t{1} << 30;  // rows * k: slots are int32
inline constexpr float kLeastMass = 1e-12f, kMostMass = 1e12f;  // of a mass above 0

// Entropic transport between rows and experts (Cuturi, arXiv:1306.0895), in the log domain, with
// Z = L / temperature and a fixed number of iterations:
//   f_t = log r_t - log sum_e exp(Z_te + g_e);  g_e = log c_e - log sum_t exp(Z_te + f_t)
// and the plan P_te = exp(Z_te + f_t + g_e): its columns sum to c, its rows tend to r. A row's ids
// are its k largest P_te, equal ones by lower id.
// With `capacity` in rounds: every slot without an expert asks for the row's best expert that has
// places and that the row does not hold; an expert asked for more often than it has places keeps
// the largest P_te / r_t (equal ones by lower row) and is full. A round that refuses fills an
// expert, so there are at most experts + 1.
// NaN logits become -inf and +inf the largest finite float. Absent, with exact zeros in the plan:
// -inf logits, experts masked, of mass 0 or that no row may use (g = -inf), rows of mass 0 or
// without an expert. What is left of the column masses is scaled to the sum of what is left of r.
// Rows share the columns' sums: unlike elsewhere, a row's result depends on the others by design.
struct SinkhornArgs {
  int64_t rows = 0;
  int64_t experts = 0;
  int64_t k = 1;  // 1 .. experts
  int64_t iterations = 8;
  float temperature = 1;
  SinkhornWeight weight = SinkhornWeight::kPlan;
  const float* logits = nullptr;       // [rows, experts]
  const float* row_mass = nullptr;     // r [rows]: 0 or kLeastMass .. kMostMass; null: all 1
  const float* expert_mass = nullptr;  // c [experts], likewise
  const uint8_t* available = nullptr;  // [experts], 0 = masked; or null
  const int32_t* capacity = nullptr;   // [experts], rows that an expert takes; or null
  float* potential = nullptr;          // g [experts]: in, where to start (not finite: 0); out
  float* plan = nullptr;               // out [rows, experts], or null
  int32_t* ids = nullptr;              // out [rows, k], largest P first; -1: no expert
  float* weights = nullptr;            // out [rows, k]; 0 where the id is -1
  int64_t* unserved = nullptr;         // added to: slots left at -1 in rows with experts; or null
  int64_t* degenerate_rows = nullptr;  // added to: rows of mass above 0 without experts; or null
  Workspace workspace;
};

struct SinkhornImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const SinkhornArgs&);
};

std::span<const SinkhornImpl> SinkhornImpls();
Status SinkhornAssign(const SinkhornArgs& args);
size_t SinkhornWorkspaceBytes(int64_t rows, int64_t experts, int64_t k);
Cost SinkhornCost(int64_t rows, int64_t experts, int64_t iterations);
Status CheckSinkhorn(const SinkhornArgs& args);

Status SinkhornReference(const SinkhornArgs& args);
Status SinkhornAvx2(const SinkhornArgs& args);
Status SinkhornAvx512(const SinkhornArgs& args);

}  // namespace penstock::kernels
