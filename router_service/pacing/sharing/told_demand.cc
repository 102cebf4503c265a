#include "router_service/pacing/sharing/told_demand.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

constexpr double kUnit = 1e6;

// Totals cannot be negative, nor beyond 64 bits.
int64_t ToMillionths(double amount) {
  if (!(amount > 0)) return 0;
  const double scaled = amount * kUnit;
  return scaled < 9e18 ? std::llround(scaled) : int64_t{9'000'000'000'000'000'000};
}

}  // namespace

std::string TotalsName(const BudgetKey& key) {
  // The length keeps "a:b" of tenant "c" apart from "a" of tenant "b:c".
  return absl::StrCat("budget_demand:", key.pool.size(), ":", key.pool, ":", key.tenant, ":",
                      config::v1::Budget::Resource_Name(key.resource), ":",
                      config::v1::Budget::Per_Name(key.per));
}

std::vector<StoreField> FieldsOf(absl::string_view router, const ToldDemand& told) {
  const BudgetDemand& demand = told.demand;
  const auto field = [&](char which) {
    return absl::StrCat(router, "/", told.generation, ".", std::string(1, which));
  };
  return {{field('b'), told.beat},
          {field('a'), static_cast<int64_t>(demand.arrivals)},
          {field('d'), static_cast<int64_t>(demand.decisions)},
          {field('w'), ToMillionths(demand.wanted)},
          {field('s'), ToMillionths(demand.settled)},
          {field('p'), ToMillionths(demand.allowed)},
          {field('q'), ToMillionths(demand.taken)},
          {field('t'), std::max<int64_t>(0, absl::ToUnixMillis(demand.started))}};
}

void MergeFields(const StoreFields& fields, ToldDemands& told) {
  std::map<std::pair<absl::string_view, int64_t>, ToldDemand> read;  // by router and generation
  for (const auto& [field, value] : fields) {
    // Totals only grow, from 0.
    if (field.size() < 3 || field[field.size() - 2] != '.' || value < 0) continue;
    const absl::string_view name = absl::string_view(field).substr(0, field.size() - 2);
    const size_t slash = name.rfind('/');
    int64_t generation = 0;
    if (slash == absl::string_view::npos ||
        !absl::SimpleAtoi(name.substr(slash + 1), &generation)) {
      continue;
    }
    ToldDemand& row = read[{name.substr(0, slash), generation}];
    row.generation = generation;
    BudgetDemand& demand = row.demand;
    switch (field.back()) {
      case 'b':
        row.beat = value;
        break;
      case 'a':
        demand.arrivals = static_cast<uint64_t>(value);
        break;
      case 'd':
        demand.decisions = static_cast<uint64_t>(value);
        break;
      case 'w':
        demand.wanted = static_cast<double>(value) / kUnit;
        break;
      case 's':
        demand.settled = static_cast<double>(value) / kUnit;
        break;
      case 'p':
        demand.allowed = static_cast<double>(value) / kUnit;
        break;
      case 'q':
        demand.taken = static_cast<double>(value) / kUnit;
        break;
      case 't':
        demand.started = absl::FromUnixMillis(value);
        break;
      default:
        break;
    }
  }
  // A later generation has later beats.
  for (auto& [name, row] : read) {
    ToldDemand& known = told[std::string(name.first)];
    if (row.beat > known.beat) known = row;
  }
}

}  // namespace penstock::router
