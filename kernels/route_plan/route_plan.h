#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

// Which pair (token, slot) goes to which row of its expert. Pair index = token * k + slot. Arrays
// belong to the caller; a plan is valid only as RoutePlan() filled it.
struct PlanView {
  int32_t* counts = nullptr;   // [experts]
  int32_t* offsets = nullptr;  // [experts + 1], exclusive scan of counts
  int32_t* src = nullptr;      // [rows * k]: pair at each grouped row, experts ascending; rest -1
  int32_t* dst = nullptr;      // [rows * k]: grouped row of each pair; -1 = dropped
};

// Stable: pairs of an expert stay in pair order. Ids outside [0, experts) are dropped.
struct RoutePlanArgs {
  int64_t rows = 0;
  int64_t k = 0;
  int64_t experts = 0;
  const int32_t* ids = nullptr;  // [rows, k]
  PlanView plan;                 // out
};

struct RoutePlanImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const RoutePlanArgs&);
};

std::span<const RoutePlanImpl> RoutePlanImpls();
Status RoutePlan(const RoutePlanArgs& args);
Cost RoutePlanCost(int64_t rows, int64_t k, int64_t experts);
Status CheckRoutePlan(const RoutePlanArgs& args);

Status RoutePlanReference(const RoutePlanArgs& args);
Status RoutePlanCuda(const RoutePlanArgs& args);

}  // namespace penstock::kernels
