#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "router_service/pacing/price_level.h"

namespace penstock::router {

// A row of a ROW pool's request and one of the experts its gate chose.
struct RowPair {
  uint32_t row = 0;
  uint32_t expert = 0;
  double weight = 0;
  double energy_j = 0;  // of this one row there
};

struct RowTrimLimits {
  double value = 1;
  double price_per_joule = 0;
  double energy_cap_j = std::numeric_limits<double>::infinity();  // cap and headroom, the smaller
  size_t rows = 0;
};

struct RowTrimResult {
  size_t dropped = 0;
  size_t dropped_by_cap = 0;
  double energy_j = 0;
  // False: each row's best alone takes more than the cap.
  bool within_cap = true;
  // Worth and joules of keeping the best pairs per joule, in steps: what the request would have
  // taken at any price. Concave, at most RowTrimmer::kCurve points; for
  // Reservation::RecordDecision.
  std::vector<PricedOption> curve;
};

// Under a joule limit drops (row, expert) pairs by lowest weight per joule, ties by highest row
// then expert; also those whose worth is below the price of their joules; never a row's best
// (largest weight, then lowest expert). The kept weights of a row sum to 1. Not thread-safe: the
// workspace is reused.
class RowTrimmer {
 public:
  static constexpr size_t kCurve = 16;

  // keep[i] says whether pairs[i] stays; the weights of the kept are normalised in place.
  void Trim(absl::Span<RowPair> pairs, const RowTrimLimits& limits, absl::Span<uint8_t> keep,
            RowTrimResult& result);

 private:
  std::vector<uint32_t> best_;
  std::vector<uint32_t> order_;
  std::vector<double> sum_;
};

}  // namespace penstock::router
