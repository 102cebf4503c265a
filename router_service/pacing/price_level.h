#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router_service/pacing/resource.h"

namespace penstock::router {

// What a decision could have done: its worth (value * quality) and its joules; of the other
// resources, what Reservation tells their budgets of. A table knows one resource: `energy_j` is
// then the amount of that one.
struct PricedOption {
  double quality = 0;
  double energy_j = 0;
  double accelerator_seconds = 0;
  double dollars = 0;

  Amounts amounts() const { return {energy_j, accelerator_seconds, dollars}; }
};

// One decision of the past: what it would take at any price. Small, because a solver copies 512 of
// them.
class DecisionTable {
 public:
  static constexpr size_t kMaxOptions = 8;

  DecisionTable() = default;
  // `k` experts at most run. For k = 1 only the upper concave hull of the options is kept: no other
  // option is the best at any price. For more, the best by worth and the cheapest; `other_price` is
  // that of the other budgets the decision counts against. A follow-up adds joules to a request
  // that has its table.
  DecisionTable(double sunk_j, absl::Span<const PricedOption> options, size_t k, double other_price,
                bool follow_up);

  // Joules at this price: sunk, the best option, and of the others up to k - 1 that are worth
  // theirs.
  double EnergyAt(double price) const;
  // At an unbounded price.
  double FloorEnergy() const { return sunk_j_ + floor_j_; }
  bool starts_request() const { return !follow_up_; }
  size_t size() const { return size_; }

 private:
  struct Option {
    float quality = 0;
    float energy_j = 0;
  };
  void KeepHull(absl::Span<const PricedOption> options);
  void KeepBest(absl::Span<const PricedOption> options);

  std::array<Option, kMaxOptions> options_;  // k = 1: by ascending joules and worth
  float sunk_j_ = 0;
  float floor_j_ = 0;
  float other_price_ = 0;
  uint8_t size_ = 0;
  uint8_t k_ = 1;
  bool follow_up_ = false;
};

// The last decisions, and the price at which they would have met a target. Not thread-safe.
class PriceLevel {
 public:
  static constexpr size_t kWindow = 512;

  struct Solution {
    double price = 0;
    bool slack = false;  // the target is met without any price
    double floor_j = 0;  // mean joules per request at an unbounded price
  };

  void Record(const DecisionTable& table);
  size_t recorded() const { return recorded_; }
  const std::vector<DecisionTable>& tables() const { return tables_; }

  // The smallest price at which the mean joules per request do not exceed `target_j`, to a
  // thousandth; if there is none, one that leaves only the cheapest. `hint`: a price near which to
  // look first. `margin`: the target is kept this share of what prices can move below what a price
  // of 0 would take, so that one window that is slack does not send the level to 0, far from where
  // the next one needs it.
  static Solution Solve(absl::Span<const DecisionTable> tables, double target_j, double hint,
                        double margin = 0);
  static double MeanEnergy(absl::Span<const DecisionTable> tables, double price);

 private:
  std::vector<DecisionTable> tables_;  // a ring once full
  size_t recorded_ = 0;
};

}  // namespace penstock::router
