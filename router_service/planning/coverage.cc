#include "router_service/planning/coverage.h"

#include <algorithm>
#include <cstring>

namespace penstock::router {
namespace {

// Rows go in blocks of eight, as four pairs: what every x86-64 and every arm64 has registers for.
// Each lane has a sum of its own, so results do not depend on how wide the machine's vectors are.
constexpr size_t kBlock = 8;
constexpr size_t kPairs = kBlock / 2;
using Pair = double __attribute__((vector_size(16)));
using PairMask = decltype(Pair{} > Pair{});

Pair Load(const double* from) {
  Pair pair;
  std::memcpy(&pair, from, sizeof(pair));
  return pair;
}
void Store(Pair pair, double* to) { std::memcpy(to, &pair, sizeof(pair)); }
// `pair` where the mask is set, else 0.
Pair Masked(PairMask mask, Pair pair) {
  return reinterpret_cast<Pair>(mask & reinterpret_cast<PairMask>(pair));
}
double SumLanes(const Pair (&lanes)[kPairs]) {
  const Pair sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  return sum[0] + sum[1];
}

}  // namespace

Coverage::Coverage(size_t experts, size_t rows, absl::Span<const double> values)
    : experts_(experts),
      rows_(rows),
      padded_((rows + kBlock - 1) / kBlock * kBlock),
      values_(experts * padded_) {
  for (size_t i = 0; i < experts; ++i) {
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(i * rows), rows,
                values_.begin() + static_cast<std::ptrdiff_t>(i * padded_));
  }
}

TopLevels::TopLevels(size_t padded, size_t levels)
    : padded_(padded), count_(levels), levels_(padded * levels) {}

void TopLevels::Clear() { std::fill(levels_.begin(), levels_.end(), 0.0); }

void TopLevels::Add(const double* column) {
  for (size_t x = 0; x < padded_; x += 2) {
    Pair value = Load(column + x);
    for (size_t level = 0; level < count_; ++level) {
      double* at = levels_.data() + level * padded_ + x;
      const Pair kept = Load(at);
      Store(kept < value ? value : kept, at);
      value = kept < value ? kept : value;
    }
  }
}

double TopLevels::Sum(size_t count) const {
  double sum = 0;
  for (size_t level = 0; level < std::min(count, count_); ++level) {
    sum += SumOf(levels_.data() + level * padded_, padded_);
  }
  return sum;
}

double SumExcess(const double* column, const double* level, size_t padded) {
  Pair lanes[kPairs] = {};
  for (size_t x = 0; x < padded; x += kBlock) {
    for (size_t i = 0; i < kPairs; ++i) {
      const Pair over = Load(column + x + 2 * i) - Load(level + x + 2 * i);
      lanes[i] += Masked(over > 0, over);
    }
  }
  return SumLanes(lanes);
}

double SumOf(const double* values, size_t padded) {
  Pair lanes[kPairs] = {};
  for (size_t x = 0; x < padded; x += kBlock) {
    for (size_t i = 0; i < kPairs; ++i) lanes[i] += Load(values + x + 2 * i);
  }
  return SumLanes(lanes);
}

}  // namespace penstock::router
