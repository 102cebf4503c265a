#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "bench/kernels/machine_ceilings.h"
#include "nlohmann/json.hpp"

namespace penstock::kernels {

struct OpOptions {
  std::vector<std::string> isas;
  int rounds = 12;
};

// The rows of one op. Every row names the shape, the form and its best seconds of all rounds; forms
// that are compared take turns, so that a busy moment of the machine meets all of them.
nlohmann::ordered_json LinearAttentionRows(const OpOptions& options);
nlohmann::ordered_json RouteTopKRows(const OpOptions& options);
nlohmann::ordered_json SparseDownRows(const OpOptions& options);

// The row of an instruction set that this CPU lacks.
inline nlohmann::ordered_json SkippedRow(const char* op, const std::string& isa) {
  return {{"op", op}, {"isa", isa}, {"skipped", "not run here: this CPU lacks it"}};
}

template <typename Impl>
const Impl* SupportedImpl(std::span<const Impl> impls, const std::string& isa) {
  for (const Impl& impl : impls) {
    if (impl.name == isa && impl.supported()) return &impl;
  }
  return nullptr;
}

// Seconds of one call of each form: the least of `rounds`.
template <typename Run>
std::vector<double> BestSeconds(int rounds, size_t forms, const Run& run) {
  std::vector<double> best(forms, 1e30);
  for (int round = 0; round < rounds; ++round) {
    for (size_t form = 0; form < forms; ++form) {
      const double start = Now();
      run(form);
      best[form] = std::min(best[form], Now() - start);
    }
  }
  return best;
}

}  // namespace penstock::kernels
