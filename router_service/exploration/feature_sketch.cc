#include "router_service/exploration/feature_sketch.h"

#include <cmath>
#include <cstdint>

#include "common/random.h"

namespace penstock::router {
namespace {

// Apart, so that an entry of the dense part and one of the sparse part with the same index differ.
constexpr uint64_t kDense = 1, kSparse = 2;

void Add(uint64_t part, uint64_t index, double value, size_t dimension,
         std::vector<double>& sketch) {
  const uint64_t bits = CounterRandom(part, index).Bits();
  const size_t entry = 1 + static_cast<size_t>((bits >> 1) % (dimension - 1));
  sketch[entry] += (bits & 1) == 0 ? value : -value;
}

}  // namespace

void SketchFeatures(const FeatureView& z, size_t dimension, std::vector<double>& sketch) {
  sketch.assign(dimension, 0);
  sketch[0] = 1;
  if (dimension < 2 || !z.known) return;
  for (size_t i = 0; i < z.dense.size(); ++i) Add(kDense, i, z.dense[i], dimension, sketch);
  for (size_t i = 0; i < z.indices.size(); ++i) {
    Add(kSparse, z.indices[i], z.values[i], dimension, sketch);
  }
  double squares = 0;
  for (size_t k = 1; k < dimension; ++k) squares += sketch[k] * sketch[k];
  const double scale = squares > 0 && std::isfinite(squares) ? 1 / std::sqrt(squares) : 0;
  for (size_t k = 1; k < dimension; ++k) sketch[k] = scale > 0 ? sketch[k] * scale : 0;
}

}  // namespace penstock::router
