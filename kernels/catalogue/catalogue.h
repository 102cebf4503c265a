#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "kernels/device/isa.h"

namespace penstock::kernels {

// An entry of an op's table.
struct CatalogueEntry {
  std::string_view name;
  Isa isa = Isa::kReference;
  bool supported = false;  // by this machine
  bool chosen = false;     // what a call would run here, now
};

struct CatalogueOp {
  std::string_view name;
  std::vector<CatalogueEntry> entries;  // best first
};

// Every op of the library, by name.
std::vector<CatalogueOp> Catalogue();

}  // namespace penstock::kernels
