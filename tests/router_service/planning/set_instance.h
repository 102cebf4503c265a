#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "router_service/planning/class_planner.h"

namespace penstock::router {

// A planning problem of a test, and its answer by looking at every set.
struct SetInstance {
  size_t rows = 0;
  std::vector<double> values;  // [experts, rows]
  ClassPlanRequest request;

  Coverage coverage() const { return Coverage(request.costs.size(), rows, values); }
};

// From `seed` alone: up to 12 experts, k in {1, 2, 3}, both limits where they usually bind, either
// semantics, sometimes with costs of combining, required and forbidden experts and equal costs.
SetInstance RandomInstance(uint64_t seed);

// F, E and D as their definitions read; written without the planner's code.
double SetValue(const SetInstance& instance, const std::vector<size_t>& set);
double SetEnergyJ(const SetInstance& instance, const std::vector<size_t>& set);
double SetLatencyS(const SetInstance& instance, const std::vector<size_t>& set);
bool Admissible(const SetInstance& instance, const std::vector<size_t>& set);
// The largest value of an admissible set; -1 if there is none.
double BestByEnumeration(const SetInstance& instance);
std::vector<size_t> MembersOf(uint64_t mask);

}  // namespace penstock::router
